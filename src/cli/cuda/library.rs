//! Where the loader would find a shared library, without loading it.

use std::fs;
use std::path::{Path, PathBuf};

/// Folders that the loader, or a usual installation of CUDA, looks into after its own cache.
const USUAL: [&str; 9] = [
    "/lib/x86_64-linux-gnu",
    "/usr/lib/x86_64-linux-gnu",
    "/lib64",
    "/usr/lib64",
    "/lib",
    "/usr/lib",
    "/usr/lib/wsl/lib",
    "/usr/local/nvidia/lib64",
    "/usr/local/cuda/lib64",
];

/// What is searched, in this order.
#[derive(Debug, Default)]
pub(super) struct Places {
    /// The process's own table of mapped files: what is loaded already.
    maps: String,
    /// `LD_LIBRARY_PATH`.
    named: Vec<PathBuf>,
    /// The loader's cache, in which names and paths end with a zero byte.
    cache: Vec<u8>,
    usual: Vec<PathBuf>,
}

impl Places {
    pub(super) fn of_this_machine() -> Self {
        let named = std::env::var_os("LD_LIBRARY_PATH").unwrap_or_default();
        Self {
            maps: fs::read_to_string("/proc/self/maps").unwrap_or_default(),
            named: std::env::split_paths(&named).filter(|folder| !folder.as_os_str().is_empty()).collect(),
            cache: fs::read("/etc/ld.so.cache").unwrap_or_default(),
            usual: USUAL.iter().map(PathBuf::from).collect(),
        }
    }

    /// The file of a library.
    pub(super) fn find(&self, name: &str) -> Option<PathBuf> {
        self.mapped(name)
            .or_else(|| in_folders(&self.named, name))
            .or_else(|| self.cached(name))
            .or_else(|| in_folders(&self.usual, name))
    }

    /// A library is mapped under the name of the file behind its links: `libcuda.so.1` as `libcuda.so.580.82.07`.
    fn mapped(&self, name: &str) -> Option<PathBuf> {
        let stem = format!("{}.so.", name.split(".so").next()?);
        self.maps.lines().find_map(|line| {
            let path = Path::new(&line[line.find('/')?..]);
            path.file_name()?.to_str()?.starts_with(&stem).then(|| path.to_owned())
        })
    }

    fn cached(&self, name: &str) -> Option<PathBuf> {
        let mut words = self.cache.split(|byte| *byte == 0);
        let ending = format!("/{name}");
        words.find_map(|word| {
            let text = std::str::from_utf8(word).ok()?;
            (text.starts_with('/') && text.ends_with(&ending) && Path::new(text).exists()).then(|| text.into())
        })
    }
}

fn in_folders(folders: &[PathBuf], name: &str) -> Option<PathBuf> {
    folders.iter().map(|folder| folder.join(name)).find(|path| path.exists())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_library_is_found_where_it_is_loaded_named_cached_or_usual() {
        let folder = tempfile::tempdir().unwrap();
        let [named, cached, usual] = ["named", "cached", "usual"].map(|name| folder.path().join(name));
        for place in [&named, &cached, &usual] {
            fs::create_dir(place).unwrap();
        }
        let mut places = Places { named: vec![named.clone()], usual: vec![usual.clone()], ..Places::default() };
        assert_eq!(places.find("libx.so.1"), None);
        fs::write(usual.join("libx.so.1"), "").unwrap();
        assert_eq!(places.find("libx.so.1"), Some(usual.join("libx.so.1")));
        fs::write(cached.join("libx.so.1"), "").unwrap();
        places.cache = format!("head\0libx.so.1\0{}\0", cached.join("libx.so.1").display()).into_bytes();
        assert_eq!(places.find("libx.so.1"), Some(cached.join("libx.so.1")));
        fs::write(named.join("libx.so.1"), "").unwrap();
        assert_eq!(places.find("libx.so.1"), Some(named.join("libx.so.1")));
        places.maps =
            "7f-80 r-xp 0 00:00 1   /opt/lib/libxy.so.2\n7f-80 r-xp 0 00:00 1   /opt/lib/libx.so.580.1\n".into();
        assert_eq!(places.find("libx.so.1"), Some("/opt/lib/libx.so.580.1".into()));
        assert_eq!(places.find("libx.so"), Some("/opt/lib/libx.so.580.1".into()));
    }
}
