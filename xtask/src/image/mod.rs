//! Container images: a static program, the authorities that it trusts, and nothing else.
//!
//! An image is what the OCI image specification says: blobs named by their SHA-256 digest (one layer, one
//! configuration, one manifest) and an index, here in one tar archive (`oci-archive`), which `skopeo copy`,
//! `podman load`, `docker load` and `ctr image import` understand. No time, owner or order of this machine gets in:
//! the same program makes the same archive.

mod archive;
mod roots;

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use archive::Entry;

/// What gets an image of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    Operator,
    SimulatedTenant,
}

impl Subject {
    /// Package and program, as cargo knows them, and where the program is in the image.
    pub fn program(self) -> &'static str {
        match self {
            Self::Operator => "shared-mailbox-operator",
            Self::SimulatedTenant => "simulator",
        }
    }

    /// What the image is called.
    pub fn name(self) -> &'static str {
        match self {
            Self::Operator => "shared-mailbox-operator",
            Self::SimulatedTenant => "simulated-tenant",
        }
    }

    /// What is run when nobody says otherwise.
    fn command(self) -> &'static str {
        match self {
            Self::Operator => "run",
            Self::SimulatedTenant => "serve",
        }
    }
}

/// Where the authorities are, as the program is given it.
const AUTHORITIES: &str = "etc/ssl/certs/ca-certificates.crt";
/// Nobody in particular, as distroless images call it.
const USER: &str = "65532";

/// One image, for one architecture as OCI names it (`amd64`).
pub struct Image {
    subject: Subject,
    root: Vec<Entry>,
    architecture: &'static str,
    version: String,
}

/// What came of writing an image.
pub struct Written {
    pub archive: PathBuf,
    /// Of the manifest: what a registry calls the image.
    pub digest: String,
    /// Bytes that are pulled: the compressed layer.
    pub compressed: u64,
}

/// Contents with their name.
struct Blob {
    digest: String,
    bytes: Vec<u8>,
}

impl Blob {
    fn new(bytes: Vec<u8>) -> Self {
        let digest = digest(&bytes);
        Self { digest, bytes }
    }

    fn json(value: &Value) -> Self {
        Self::new(value.to_string().into_bytes())
    }

    fn descriptor(&self, media_type: &str) -> Value {
        json!({
            "mediaType": format!("application/vnd.oci.image.{media_type}"),
            "digest": self.digest,
            "size": self.bytes.len()
        })
    }

    fn entry(&self) -> Entry {
        let name = self.digest.replace(':', "/");
        Entry::file(&format!("blobs/{name}"), self.bytes.clone(), 0o644)
    }
}

fn digest(bytes: &[u8]) -> String {
    let mut name = "sha256:".to_owned();
    for byte in Sha256::digest(bytes) {
        // Writing to a String can't fail.
        let _ = write!(name, "{byte:02x}");
    }
    name
}

impl Image {
    pub fn of(subject: Subject, program: &Path, architecture: &'static str, version: &str) -> Result<Self> {
        let bytes = fs::read(program).with_context(|| format!("can't read {}", program.display()))?;
        let passwd = format!("nonroot:x:{USER}:{USER}:nonroot:/:/nonexistent\n");
        let root = vec![
            Entry::folder("etc"),
            Entry::file("etc/passwd", passwd.into_bytes(), 0o644),
            Entry::folder("etc/ssl"),
            Entry::folder("etc/ssl/certs"),
            Entry::file(AUTHORITIES, roots::pem().into_bytes(), 0o644),
            Entry::file(subject.program(), bytes, 0o755),
        ];
        Ok(Self {
            subject,
            root,
            architecture,
            version: version.to_owned(),
        })
    }

    /// Writes the archive into `folder`.
    pub fn write(&self, folder: &Path) -> Result<Written> {
        fs::create_dir_all(folder)?;
        let layer_tar = archive::tar(&self.root)?;
        let layer = Blob::new(compressed(&layer_tar)?);
        let configuration = Blob::json(&self.configuration(&digest(&layer_tar)));
        let manifest = Blob::json(&json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": configuration.descriptor("config.v1+json"),
            "layers": [layer.descriptor("layer.v1.tar+gzip")]
        }));
        let mut named = manifest.descriptor("manifest.v1+json");
        named["annotations"] = json!({ "org.opencontainers.image.ref.name": self.version });
        named["platform"] = json!({ "architecture": self.architecture, "os": "linux" });
        let index = json!({ "schemaVersion": 2, "manifests": [named] });
        let entries = [
            Entry::file("oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#.to_vec(), 0o644),
            Entry::file("index.json", index.to_string().into_bytes(), 0o644),
            Entry::folder("blobs"),
            Entry::folder("blobs/sha256"),
            configuration.entry(),
            layer.entry(),
            manifest.entry(),
        ];
        let file = folder.join(format!("{}-{}.tar", self.subject.name(), self.architecture));
        let write = || File::create(&file)?.write_all(&archive::tar(&entries)?);
        write().with_context(|| format!("can't write {}", file.display()))?;
        Ok(Written {
            archive: file,
            digest: manifest.digest.clone(),
            compressed: u64::try_from(layer.bytes.len())?,
        })
    }

    /// Lays the image's root file system out in `folder`, for whoever wants to run it without a container engine.
    pub fn unpack(&self, folder: &Path) -> Result<()> {
        for entry in &self.root {
            entry.write_below(folder)?;
        }
        Ok(())
    }

    fn configuration(&self, layer: &str) -> Value {
        json!({
            "architecture": self.architecture,
            "os": "linux",
            "config": {
                "User": format!("{USER}:{USER}"),
                "Env": [format!("SSL_CERT_FILE=/{AUTHORITIES}")],
                "Entrypoint": [format!("/{}", self.subject.program())],
                "Cmd": [self.subject.command()],
                "Labels": {
                    "org.opencontainers.image.title": self.subject.name(),
                    "org.opencontainers.image.version": self.version,
                    "org.opencontainers.image.licenses": "Apache-2.0"
                }
            },
            "rootfs": { "type": "layers", "diff_ids": [layer] },
            "history": [{ "created_by": "cargo xtask image" }]
        })
    }
}

fn compressed(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes)?;
    Ok(encoder.finish()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::temporary_directory;

    #[test]
    fn the_same_program_makes_the_same_archive_and_every_blob_is_what_its_name_says() {
        let folder = temporary_directory("xtask-image").unwrap();
        let program = folder.join("program");
        fs::write(&program, "a program").unwrap();
        let write = |name: &str| {
            let image = Image::of(Subject::Operator, &program, "amd64", "1.2.3").unwrap();
            image.write(&folder.join(name)).unwrap()
        };
        let (one, two) = (write("one"), write("two"));
        assert_eq!(one.digest, two.digest);
        assert_eq!(fs::read(&one.archive).unwrap(), fs::read(&two.archive).unwrap());

        let mut blobs = 0;
        let mut archive = tar::Archive::new(File::open(&one.archive).unwrap());
        for entry in archive.entries().unwrap() {
            let mut entry = entry.unwrap();
            let path = entry.path().unwrap().display().to_string();
            let mut bytes = Vec::new();
            std::io::Read::read_to_end(&mut entry, &mut bytes).unwrap();
            if let Some(name) = path.strip_prefix("blobs/sha256/").filter(|name| !name.is_empty()) {
                assert_eq!(digest(&bytes), format!("sha256:{name}"));
                blobs += 1;
            }
            if path == "index.json" {
                let index: Value = serde_json::from_slice(&bytes).unwrap();
                assert_eq!(index["manifests"][0]["digest"], one.digest.as_str());
            }
        }
        assert_eq!(blobs, 3);
        fs::write(&program, "another program").unwrap();
        assert_ne!(write("three").digest, one.digest);
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn the_root_holds_the_program_the_authorities_and_no_more() {
        let folder = temporary_directory("xtask-image").unwrap();
        let program = folder.join("program");
        fs::write(&program, "a program").unwrap();
        let root = folder.join("root");
        let image = Image::of(Subject::Operator, &program, "amd64", "1.2.3").unwrap();
        image.unpack(&root).unwrap();
        let mut top: Vec<_> = fs::read_dir(&root)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        top.sort();
        assert_eq!(top, ["etc", "shared-mailbox-operator"]);
        let authorities = fs::read_to_string(root.join(AUTHORITIES)).unwrap();
        assert!(authorities.matches("BEGIN CERTIFICATE").count() > 100);
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn the_simulated_tenant_is_an_image_that_serves() {
        let folder = temporary_directory("xtask-image").unwrap();
        let program = folder.join("program");
        fs::write(&program, "a program").unwrap();
        let image = Image::of(Subject::SimulatedTenant, &program, "arm64", "1.2.3").unwrap();
        let configuration = image.configuration("sha256:0");
        assert_eq!(configuration["config"]["Entrypoint"], json!(["/simulator"]));
        assert_eq!(configuration["config"]["Cmd"], json!(["serve"]));
        let archive = image.write(&folder).unwrap().archive;
        assert_eq!(archive, folder.join("simulated-tenant-arm64.tar"));
        fs::remove_dir_all(folder).unwrap();
    }
}
