-- Health of SharedMailbox, MailboxPermission and ExchangeTenant for Argo CD, which counts custom resources that it does not
-- know as healthy. It reads conditions like Flux and `kubectl wait`; only Paused has a health of its own (Suspended).
local function condition(name)
  for _, found in ipairs(obj.status.conditions) do
    if found.type == name then
      return found
    end
  end
  return { status = "Unknown", reason = "", message = "" }
end

if obj.metadata.deletionTimestamp ~= nil then
  return { status = "Progressing", message = "Being deleted" }
end
if obj.status == nil or obj.status.conditions == nil then
  return { status = "Progressing", message = "Waiting for shared-mailbox-operator" }
end
if obj.status.observedGeneration ~= obj.metadata.generation then
  return { status = "Progressing", message = "The last change has not been reconciled yet" }
end

local ready = condition("Ready")
local message = ready.reason .. ": " .. ready.message
if condition("Reconciling").status == "True" then
  return { status = "Progressing", message = message }
end
if condition("Stalled").status == "True" then
  if ready.reason == "Paused" then
    return { status = "Suspended", message = message }
  end
  return { status = "Degraded", message = message }
end
if ready.status == "True" then
  return { status = "Healthy", message = message }
end
return { status = "Progressing", message = message }
