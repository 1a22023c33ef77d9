//! Tar archives without anything of the machine that writes them.

use std::fs;
use std::io;
use std::path::Path;

use tar::{Builder, EntryType, Header};

/// A file or a folder.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Without a leading slash.
    path: String,
    /// None: a folder.
    bytes: Option<Vec<u8>>,
    mode: u32,
}

impl Entry {
    pub fn file(path: &str, bytes: Vec<u8>, mode: u32) -> Self {
        Self {
            path: path.to_owned(),
            bytes: Some(bytes),
            mode,
        }
    }

    pub fn folder(path: &str) -> Self {
        Self {
            path: path.to_owned(),
            bytes: None,
            mode: 0o755,
        }
    }

    pub fn write_below(&self, folder: &Path) -> io::Result<()> {
        let path = folder.join(&self.path);
        let Some(bytes) = &self.bytes else {
            return fs::create_dir_all(path);
        };
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::write(&path, bytes)?;
        #[cfg(unix)]
        fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(self.mode))?;
        Ok(())
    }
}

/// The archive, in the order of the entries; owned by root, from 1970.
pub fn tar(entries: &[Entry]) -> io::Result<Vec<u8>> {
    let mut archive = Builder::new(Vec::new());
    for Entry { path, bytes, mode } in entries {
        let mut header = Header::new_ustar();
        header.set_mode(*mode);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        let (kind, path, bytes) = match bytes {
            Some(bytes) => (EntryType::Regular, path.clone(), bytes.as_slice()),
            None => (EntryType::Directory, format!("{path}/"), &[][..]),
        };
        header.set_entry_type(kind);
        header.set_size(u64::try_from(bytes.len()).map_err(io::Error::other)?);
        archive.append_data(&mut header, path, bytes)?;
    }
    archive.into_inner()
}
