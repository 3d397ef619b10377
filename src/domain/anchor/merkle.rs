//! Merkle trees as RFC 6962 (section 2.1) has them for certificates: SHA-256, a leaf hashed after a byte 0 and a node after a byte 1,
//! so that no node reads like a leaf.

use sha2::{Digest, Sha256};

use crate::domain::account::Hash;

/// The root of a tree without leaves: the hash of nothing.
pub const EMPTY: Hash = [
    0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14, 0x9a, 0xfb, 0xf4, 0xc8, 0x99, 0x6f, 0xb9, 0x24, 0x27,
    0xae, 0x41, 0xe4, 0x64, 0x9b, 0x93, 0x4c, 0xa4, 0x95, 0x99, 0x1b, 0x78, 0x52, 0xb8, 0x55,
];

/// The hash of a leaf that says so.
pub fn leaf(data: &[u8]) -> Hash {
    Sha256::new().chain_update([0]).chain_update(data).finalize().into()
}

fn node(left: &Hash, right: &Hash) -> Hash {
    Sha256::new().chain_update([1]).chain_update(left).chain_update(right).finalize().into()
}

/// A tree that grows to the right, leaf by leaf: of what was added only the roots of whole subtrees are kept, one for each power of two
/// in the number of leaves.
#[derive(Debug, Clone, Default)]
pub struct Tree {
    /// From the left, each with its height.
    subtrees: Vec<(u32, Hash)>,
}

impl Tree {
    /// Adds a leaf, or the root of a subtree where all that are added are as high as that.
    pub fn add(&mut self, mut hash: Hash) {
        let mut height: u32 = 0;
        while let Some((_, left)) = self.subtrees.pop_if(|(of, _)| *of == height) {
            hash = node(&left, &hash);
            height = height.saturating_add(1);
        }
        self.subtrees.push((height, hash));
    }

    pub fn root(&self) -> Hash {
        let mut from_the_right = self.subtrees.iter().rev().map(|(_, hash)| *hash);
        let Some(last) = from_the_right.next() else { return EMPTY };
        from_the_right.fold(last, |right, left| node(&left, &right))
    }
}

/// The root above leaves, or above subtrees of one height.
pub fn root(hashes: &[Hash]) -> Hash {
    let mut tree = Tree::default();
    hashes.iter().for_each(|hash| tree.add(*hash));
    tree.root()
}

/// What stands beside the way from the leaf at `index` to the root, from the leaf on; None: there is no such leaf.
pub fn path(hashes: &[Hash], mut index: usize) -> Option<Vec<Hash>> {
    hashes.get(index)?;
    let (mut part, mut path) = (hashes, Vec::new());
    while let Some(middle) = split(part.len()) {
        let (left, right) = part.split_at_checked(middle)?;
        match index.checked_sub(middle) {
            None => {
                path.push(root(right));
                part = left;
            }
            Some(rest) => {
                path.push(root(left));
                (part, index) = (right, rest);
            }
        }
    }
    path.reverse();
    Some(path)
}

/// How many of the leaves are on the left: the largest power of two below their number. None: there is one at most.
fn split(leaves: usize) -> Option<usize> {
    1_usize.checked_shl(leaves.checked_sub(1)?.checked_ilog2()?)
}

/// The root to which a path leads from the leaf at `index` of so many (RFC 9162, section 2.1.3.2); None: it is no path of that leaf.
pub fn root_by_path(leaf: Hash, index: u64, leaves: u64, path: &[Hash]) -> Option<Hash> {
    let mut last = leaves.checked_sub(1)?;
    let (mut here, mut hash) = (index, leaf);
    if here > last {
        return None;
    }
    for beside in path {
        if last == 0 {
            return None;
        }
        if here & 1 == 1 || here == last {
            hash = node(beside, &hash);
            while here & 1 == 0 && here != 0 {
                (here, last) = (here >> 1, last >> 1);
            }
        } else {
            hash = node(&hash, beside);
        }
        (here, last) = (here >> 1, last >> 1);
    }
    (last == 0).then_some(hash)
}

#[cfg(test)]
mod tests {
    use data_encoding::HEXLOWER;
    use proptest::prelude::*;

    use super::*;

    fn leaves(count: usize) -> Vec<Hash> {
        (0..count).map(|number| leaf(&number.to_be_bytes())).collect()
    }

    /// As the RFC writes it.
    fn by_definition(hashes: &[Hash]) -> Hash {
        match hashes {
            [] => EMPTY,
            [one] => *one,
            more => {
                let mut middle = 1;
                while middle * 2 < more.len() {
                    middle *= 2;
                }
                node(&by_definition(&more[..middle]), &by_definition(&more[middle..]))
            }
        }
    }

    #[test]
    fn the_trees_of_certificate_transparency_have_the_roots_that_its_tests_have() {
        let data: [&[u8]; 8] = [
            &[],
            &[0x00],
            &[0x10],
            &[0x20, 0x21],
            &[0x30, 0x31],
            &[0x40, 0x41, 0x42, 0x43],
            &[0x50, 0x51, 0x52, 0x53, 0x54, 0x55, 0x56, 0x57],
            &[0x60, 0x61, 0x62, 0x63, 0x64, 0x65, 0x66, 0x67, 0x68, 0x69, 0x6a, 0x6b, 0x6c, 0x6d, 0x6e, 0x6f],
        ];
        let hashes: Vec<Hash> = data.iter().map(|data| leaf(data)).collect();
        let roots = [
            "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
            "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
            "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
            "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
            "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
            "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
            "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
        ];
        assert_eq!(root(&[]), EMPTY);
        for (count, expected) in (1..).zip(roots) {
            assert_eq!(HEXLOWER.encode(&root(&hashes[..count])), expected, "{count} leaves");
        }
    }

    #[test]
    fn every_path_of_every_tree_leads_to_its_root() {
        let all = leaves(600);
        for count in 1..=600 {
            let hashes = &all[..count];
            let root = root(hashes);
            assert_eq!(root, by_definition(hashes), "{count} leaves");
            // All of small ones; of large ones those at the edges and one between, and at random below.
            let step = if count <= 40 { 1 } else { count / 2 };
            for index in (0..count).step_by(step).chain([count - 1]) {
                let path = path(hashes, index).unwrap();
                let found = root_by_path(hashes[index], index as u64, count as u64, &path);
                assert_eq!(found, Some(root), "leaf {index} of {count}");
            }
            assert_eq!(path(hashes, count), None);
        }
    }

    #[test]
    fn a_tree_of_subtrees_is_the_tree_of_their_leaves() {
        for count in [1, 7, 8, 9, 16, 23, 64, 65, 100] {
            let hashes = leaves(count);
            let parts: Vec<Hash> = hashes.chunks(8).map(root).collect();
            assert_eq!(root(&parts), root(&hashes), "{count} leaves");
        }
    }

    proptest! {
        #[test]
        fn no_altered_path_leads_to_the_root(
            count in 1_usize..=600,
            place in any::<prop::sample::Index>(),
            altered in any::<prop::sample::Index>(),
            bit in 0_usize..256,
        ) {
            let hashes = leaves(count);
            let (root, index) = (root(&hashes), place.index(count));
            let whole = path(&hashes, index).unwrap();
            let leads = |leaf: Hash, index: u64, count: u64, path: &[Hash]| {
                root_by_path(leaf, index, count, path) == Some(root)
            };
            let (at, of) = (index as u64, count as u64);
            prop_assert!(leads(hashes[index], at, of, &whole));
            let mut other = hashes[index];
            other[bit / 8] ^= 1 << (bit % 8);
            prop_assert!(!leads(other, at, of, &whole));
            if !whole.is_empty() {
                let mut path = whole.clone();
                path[altered.index(whole.len())][bit / 8] ^= 1 << (bit % 8);
                prop_assert!(!leads(hashes[index], at, of, &path));
                prop_assert!(!leads(hashes[index], at, of, &whole[1..]));
                prop_assert!(!leads(hashes[index], at, of, &whole[..whole.len() - 1]));
            }
            let longer = [whole.clone(), vec![EMPTY]].concat();
            prop_assert!(!leads(hashes[index], at, of, &longer));
            let elsewhere = altered.index(count) as u64;
            prop_assert!(elsewhere == at || !leads(hashes[index], elsewhere, of, &whole));
            prop_assert!(!leads(hashes[index], of, of, &whole));
        }
    }
}
