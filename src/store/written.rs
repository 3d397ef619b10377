//! What books gained of one table, written by the statements of its file.

use futures_util::future::BoxFuture;

use super::Conn;
use super::error::StoreError;
use super::seals::Sealer;

/// Rows of one table that came to be or changed; none are nothing to do.
pub trait Written: Sync {
    fn write<'c>(&'c self, conn: Conn<'c>, seals: &'c Sealer<'c>) -> BoxFuture<'c, Result<(), StoreError>>;
}

/// Says how such rows are written.
macro_rules! written {
    ($rows:ty, |$conn:ident, $own:ident, $seals:ident| $write:expr) => {
        impl $crate::store::written::Written for $rows {
            fn write<'c>(
                &'c self,
                $conn: $crate::store::Conn<'c>,
                $seals: &'c $crate::store::seals::Sealer<'c>,
            ) -> futures_util::future::BoxFuture<'c, Result<(), $crate::store::error::StoreError>> {
                let $own = self;
                Box::pin($write)
            }
        }
    };
}
pub(super) use written;
