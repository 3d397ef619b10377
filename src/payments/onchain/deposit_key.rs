//! The extended public key (BIP-32) that deposit addresses are derived from. It can make addresses and cannot spend.

use std::fmt;
use std::str::FromStr;

use bip32::{ChildNumber, ExtendedKey, Prefix, XPub};

use crate::payments::onchain::address::Address;

/// The branch of addresses that are given to others (BIP-44).
const EXTERNAL_BRANCH: u32 = 0;

/// The network that an extended public key says it is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyNetwork {
    /// `xpub…`
    Main,
    /// `tpub…`
    Test,
}

impl KeyNetwork {
    fn prefix(self) -> Prefix {
        match self {
            Self::Main => Prefix::XPUB,
            Self::Test => Prefix::TPUB,
        }
    }
}

/// Why a text is no key to derive deposit addresses from. It never repeats the text, which may be a secret by mistake.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DepositKeyError {
    /// An extended private key.
    #[error(
        "this is an extended PRIVATE key: give the public one (xpub), and keep this away from the server"
    )]
    Private,
    /// Not base58 with a valid checksum, or not of the length of an extended key.
    #[error("not an extended public key: it has a wrong checksum or length")]
    Malformed,
    /// For another network, or another kind of address.
    #[error("the extended public key is of the kind {found}, where {wanted} is wanted")]
    WrongKind { found: String, wanted: String },
    /// Its bytes are no point of the curve.
    #[error("the extended public key holds no valid public key")]
    NotOnCurve,
}

/// An index that has no address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no deposit address can be derived at index {0}")]
pub struct NoAddressAt(pub u32);

/// Deposit addresses, by index.
#[derive(Clone)]
pub struct DepositKey {
    external: XPub,
}

impl DepositKey {
    /// The key of a text such as `xpub6…`: an account's, of which the addresses are `0/index`.
    pub fn parse(text: &str, network: KeyNetwork) -> Result<Self, DepositKeyError> {
        let key = ExtendedKey::from_str(text.trim()).map_err(|_| DepositKeyError::Malformed)?;
        // `XPub` would take a private key, too, and make it a public one.
        if is_private(&key) {
            return Err(DepositKeyError::Private);
        }
        let wanted = network.prefix();
        if key.prefix != wanted {
            return Err(DepositKeyError::WrongKind {
                found: key.prefix.to_string(),
                wanted: wanted.to_string(),
            });
        }
        if !is_compressed_point(&key) {
            return Err(DepositKeyError::NotOnCurve);
        }
        let account = XPub::try_from(key).map_err(|_| DepositKeyError::NotOnCurve)?;
        let external = child(&account, EXTERNAL_BRANCH).ok_or(DepositKeyError::NotOnCurve)?;
        Ok(Self { external })
    }

    /// The deposit address of an index below 2³¹.
    pub fn address(&self, index: u32) -> Result<Address, NoAddressAt> {
        let key = child(&self.external, index).ok_or(NoAddressAt(index))?;
        let point = key.public_key().to_encoded_point(false);
        // The first byte says that both coordinates follow.
        let coordinates = point.as_bytes().get(1..).ok_or(NoAddressAt(index))?;
        Address::of_public_key(coordinates).ok_or(NoAddressAt(index))
    }
}

/// By the prefix, and by the byte before the key: zero in private ones alone.
fn is_private(key: &ExtendedKey) -> bool {
    key.prefix.is_private() || key.key_bytes.first() == Some(&0)
}

/// The only form that BIP-32 knows; the curve's library reads others, too.
fn is_compressed_point(key: &ExtendedKey) -> bool {
    matches!(key.key_bytes.first(), Some(2 | 3))
}

fn child(parent: &XPub, index: u32) -> Option<XPub> {
    parent.derive_child(ChildNumber::new(index, false).ok()?).ok()
}

impl fmt::Debug for DepositKey {
    /// Without the key: who has it sees all deposits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DepositKey").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use bip32::XPrv;

    use super::*;
    use crate::payments::onchain::hex;

    /// Of "test test test test test test test test test test test junk", without a passphrase (BIP-39).
    const SEED: &str = "0x9dfc3c64c2f8bede1533b6a79f8570e5943e0b8fd1cf77107adf7b72cef42185\
                        d564a3aee24cab43f80e3c4538087d70fc824eabbad596a23c97b6ee8322ccc0";
    const ACCOUNT: &str = "xpub6Ce9NcJvTk36xtLSrJLZqE7wtgA5deCeYs7rSQtreh4cj6ByPtrg9sD7V2FNFLPnf8heNP3FGkeV9qwfzvZNSd54JoNXVsXFYSYwHsnJxqP";
    /// Of BIP-32's test vector 1.
    const MASTER_PUBLIC: &str = "xpub661MyMwAqRbcFtXgS5sYJABqqG9YLmC4Q1Rdap9gSE8NqtwybGhePY2gZ29ESFjqJoCu1Rupje8YtGqsefD265TMg7usUDFdp6W1EGMcet8";
    const MASTER_PRIVATE: &str = "xprv9s21ZrQH143K3QTDL4LXw2F7HEK3wJUD2nW2nRk4stbPy6cq3jPPqjiChkVvvNKmPGJxWUtg6LnF5kejMRNNU3TGtRBeJgk33yuGBxrMPHi";

    /// m/44'/60'/0' of the mnemonic.
    fn account() -> XPrv {
        let seed: [u8; 64] = hex::decode(SEED).unwrap();
        [44, 60, 0].into_iter().fold(XPrv::new(seed).unwrap(), |parent, index| {
            parent.derive_child(ChildNumber::new(index, true).unwrap()).unwrap()
        })
    }

    fn refused(text: &str) -> DepositKeyError {
        DepositKey::parse(text, KeyNetwork::Main).unwrap_err()
    }

    #[test]
    fn the_accounts_of_a_known_mnemonic() {
        let text = account().public_key().to_extended_key(Prefix::XPUB).to_string();
        assert_eq!(text, ACCOUNT);
        let key = DepositKey::parse(ACCOUNT, KeyNetwork::Main).unwrap();
        for (index, address) in [
            (0, "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"),
            (1, "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"),
            (2, "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC"),
            (3, "0x90F79bf6EB2c4f870365E785982E1f101E93b906"),
            (9, "0xa0Ee7A142d267C1f36714E4a8F75612F20a79720"),
        ] {
            assert_eq!(key.address(index).unwrap().to_string(), address);
        }
    }

    #[test]
    fn a_private_key_is_refused_and_not_repeated() {
        for text in [MASTER_PRIVATE.to_owned(), account().to_extended_key(Prefix::XPRV).to_string()] {
            assert_eq!(refused(&text), DepositKeyError::Private);
            assert!(!refused(&text).to_string().contains(&text[..12]));
        }
    }

    #[test]
    fn a_private_key_in_the_clothes_of_a_public_one_is_refused() {
        // Of BIP-32's test vector 5: the version of a public key, the bytes of a private one.
        let text = "xpub661MyMwAqRbcEYS8w7XLSVeEsBXy79zSzH1J8vCdxAZningWLdN3zgtU6LBpB85b3D2yc8sfvZU521AAwdZafEz7mnzBBsz4wKY5fTtTQBm";
        assert_eq!(refused(text), DepositKeyError::Private);
    }

    #[test]
    fn a_changed_or_cut_key_is_refused() {
        let changed = MASTER_PUBLIC.replace("Mcet8", "Mcet9");
        for text in [
            "",
            "xpub",
            "xpub0OIl",
            &MASTER_PUBLIC[..110],
            &changed,
            "5KQwrPbwdL6PhXujxW37FSSQZ1JiwsST4cqQzDeyXtP79zkvFD3",
        ] {
            assert_eq!(refused(text), DepositKeyError::Malformed, "{text}");
        }
    }

    #[test]
    fn a_key_for_another_network_is_refused_unless_configured() {
        let mut key = ExtendedKey::from_str(MASTER_PUBLIC).unwrap();
        key.prefix = Prefix::TPUB;
        let text = key.to_string();
        assert!(text.starts_with("tpub"));
        let wrong = DepositKeyError::WrongKind { found: "tpub".to_owned(), wanted: "xpub".to_owned() };
        assert_eq!(refused(&text), wrong);
        let address = |text, network| DepositKey::parse(text, network).unwrap().address(5).unwrap();
        assert_eq!(address(&text, KeyNetwork::Test), address(MASTER_PUBLIC, KeyNetwork::Main));
        key.prefix = Prefix::ZPUB;
        assert!(matches!(refused(&key.to_string()), DepositKeyError::WrongKind { .. }));
    }

    #[test]
    fn bytes_that_are_no_public_key_are_refused() {
        let mut key = ExtendedKey::from_str(MASTER_PUBLIC).unwrap();
        for first in [1, 4, 5] {
            key.key_bytes[0] = first;
            assert_eq!(refused(&key.to_string()), DepositKeyError::NotOnCurve);
        }
        // x = 7 is not the first coordinate of any point. Source: BIP-32's test vector 5.
        key.key_bytes = [0; 33];
        (key.key_bytes[0], key.key_bytes[32]) = (2, 7);
        assert_eq!(refused(&key.to_string()), DepositKeyError::NotOnCurve);
    }

    #[test]
    fn indices_stop_at_the_hardened_ones() {
        let key = DepositKey::parse(ACCOUNT, KeyNetwork::Main).unwrap();
        assert!(key.address((1 << 31) - 1).is_ok());
        assert_eq!(key.address(1 << 31), Err(NoAddressAt(1 << 31)));
    }

    #[test]
    fn its_debug_text_hides_the_key() {
        let key = DepositKey::parse(ACCOUNT, KeyNetwork::Main).unwrap();
        assert_eq!(format!("{key:?}"), "DepositKey { .. }");
    }
}
