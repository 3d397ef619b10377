//! The printable invoice: a page for the browser and a PDF, in Chinese and English, with the same figures.
//!
//! It names nothing but itself: all that it shows is text already.

mod html;
mod invoice;
mod logo;
mod pdf;
mod shown;
mod words;

pub use html::html;
pub use invoice::{Group, Invoice, Item, Language, Logo, Party, Provider};
pub use logo::LogoError;
pub use pdf::{PdfError, pdf};

#[cfg(test)]
mod fixture;
#[cfg(test)]
mod same_figures;
