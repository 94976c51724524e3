//! The shop example as it is built in, and the folder that a demo keeps its things in.

use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use anyhow::Context;

/// The files of `examples/shop`.
const FILES: [(&str, &str); 5] = [
    ("00-namespace.yaml", include_str!("../../../../examples/shop/00-namespace.yaml")),
    ("cart.yaml", include_str!("../../../../examples/shop/cart.yaml")),
    ("catalog.yaml", include_str!("../../../../examples/shop/catalog.yaml")),
    ("gateway.yaml", include_str!("../../../../examples/shop/gateway.yaml")),
    ("orders.yaml", include_str!("../../../../examples/shop/orders.yaml")),
];

/// A folder for this process alone, gone with it.
pub(super) struct Folder(PathBuf);

impl Folder {
    /// Makes one that did not exist before.
    ///
    /// # Errors
    /// The disk refuses, or someone was there first.
    pub(super) fn create() -> anyhow::Result<Self> {
        let unique = jiff::Timestamp::now().as_nanosecond();
        let name = format!("fairway-demo-{}-{unique:x}", std::process::id());
        let path = std::env::temp_dir().join(name);
        // A key is kept in it: nobody else may look in, and a folder prepared by others is refused.
        let made = fs::DirBuilder::new().mode(0o700).create(&path);
        made.with_context(|| format!("creating {}", path.display()))?;
        Ok(Self(path))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    /// Writes the shop into it, and says where.
    ///
    /// # Errors
    /// The disk refuses.
    pub(super) fn write_shop(&self) -> anyhow::Result<PathBuf> {
        let shop = self.0.join("shop");
        fs::create_dir(&shop).with_context(|| format!("creating {}", shop.display()))?;
        for (name, text) in FILES {
            let path = shop.join(name);
            fs::write(&path, text).with_context(|| format!("writing {}", path.display()))?;
        }
        Ok(shop)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            tracing::debug!(%error, "removing {}", self.0.display());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_file_of_the_shop_is_missing() {
        let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/shop");
        let mut there: Vec<String> = fs::read_dir(example)
            .expect("the example")
            .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
            .collect();
        there.sort();
        let built_in: Vec<&str> = FILES.iter().map(|(name, _)| *name).collect();
        assert_eq!(there, built_in);
    }
}
