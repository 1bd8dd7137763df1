//! Control groups laid out by hand, and damaged ones.

use pagehound_vmcore::VirtAddr;

use super::Memcg;
use crate::kernel::Kernel;
use crate::layouts::{Field, Struct};
use crate::testing::{World, direct};

/// Bytes of a group here: its `css` with siblings, children, parent, flags and
/// `cgroup`, then its usage. The `cgroup` and its name follow.
const GROUP: u64 = 0x100;

/// Groups from 0x1000 on, each with name, parent, flags and usage; the first is the
/// root. Children hang on their parent in the order of their numbers.
fn world(groups: &[(&str, usize, u64, u64)]) -> World {
    let at = |number: usize| 0x1000 + number as u64 * GROUP;
    let mut world = World::new()
        .member(Field::PageMemcg, 0x38, 8)
        .member(Field::MemcgCss, 0, 0x60)
        .member(Field::CssSibling, 0, 16)
        .member(Field::CssChildren, 0x10, 16)
        .member(Field::CssParent, 0x20, 8)
        .member(Field::CssFlags, 0x28, 4)
        .member(Field::CssCgroup, 0x30, 8)
        .member(Field::MemcgUsage, 0x60, 8)
        .member(Field::CgroupNode, 0, 8)
        .member(Field::KernfsName, 0, 8)
        .member(Field::ObjCgroupMemcg, 8, 8)
        .variable("root_mem_cgroup", direct(0x800))
        .word(0x800, direct(at(0)).0);
    for (number, &(name, parent, flags, usage)) in groups.iter().enumerate() {
        let own = at(number);
        let mut text = [0; 8];
        text[..name.len()].copy_from_slice(name.as_bytes());
        let above = if number == 0 { 0 } else { direct(at(parent)).0 };
        // Heads of lists: the next of a child is its next sibling, or the head.
        let next = |of: usize, after: usize| {
            let all = groups.iter().enumerate().skip(after.max(1));
            let mut below = all.filter(|(_, group)| group.1 == of);
            below.next().map(|(number, _)| direct(at(number)).0)
        };
        let children = next(number, 1).unwrap_or(direct(own + 0x10).0);
        let sibling = next(parent, number + 1).unwrap_or(direct(at(parent) + 0x10).0);
        world = world
            .word(own, sibling)
            .word(own + 0x10, children)
            .word(own + 0x20, above)
            .word(own + 0x28, flags)
            .word(own + 0x30, direct(own + 0x80).0)
            .word(own + 0x60, usage)
            .word(own + 0x80, direct(own + 0x90).0)
            .word(own + 0x90, direct(own + 0xa0).0)
            .word(own + 0xa0, u64::from_le_bytes(text));
    }
    world
}

const ONLINE: u64 = 2;

fn found(kernel: &Kernel<'_>) -> Vec<Memcg> {
    let mut charges = kernel.charges().unwrap();
    charges.find_all();
    let mut groups = charges.groups().to_vec();
    groups.sort_by(|one, other| one.path.cmp(&other.path));
    groups
}

#[test]
fn groups_have_their_paths_and_those_that_are_gone_say_so() {
    let kernel = world(&[
        ("", 0, ONLINE, 90),
        ("a", 0, ONLINE, 50),
        ("b", 1, 0, 30),
        ("c", 2, 0, 20),
        ("d", 0, ONLINE, 10),
    ])
    .kernel();
    let groups = found(&kernel);
    let told: Vec<_> = groups
        .iter()
        .map(|group| {
            let Memcg {
                path,
                dying,
                below_dying,
                charged,
            } = group;
            (path.as_str(), *dying, *below_dying, *charged)
        })
        .collect();
    assert_eq!(
        told,
        [
            ("/", false, false, Some(90)),
            ("/a", false, false, Some(50)),
            ("/a/b", true, false, Some(30)),
            ("/a/b/c", true, true, Some(20)),
            ("/d", false, false, Some(10)),
        ]
    );
}

#[test]
fn a_page_is_its_groups_or_its_object_groups() {
    let kernel = world(&[("", 0, ONLINE, 9), ("a", 0, ONLINE, 5), ("b", 0, ONLINE, 4)])
        // An object group at 0x4000, of b.
        .word(0x4008, direct(0x1200).0)
        .kernel();
    let mut charges = kernel.charges().unwrap();
    let mut of = |word: u64| {
        let mut page = [0; 64];
        page[0x38..0x40].copy_from_slice(&word.to_le_bytes());
        let number = charges.of_page(&page)?;
        Some(charges.groups()[number as usize].path.clone())
    };
    assert_eq!(of(0), None);
    assert_eq!(of(direct(0x1100).0).as_deref(), Some("/a"));
    assert_eq!(of(direct(0x4000).0 | 2).as_deref(), Some("/b"));
    // Before 5.13 pages of the kernel too named the group itself.
    assert_eq!(of(direct(0x1100).0 | 2).as_deref(), Some("/a"));
    // The vector of a slab.
    assert_eq!(of(direct(0x1100).0 | 1), None);
    assert_eq!(of(8), None);
}

#[test]
fn objects_are_those_groups_that_the_vector_says() {
    let kernel = world(&[("", 0, ONLINE, 9), ("a", 0, ONLINE, 5)])
        .size(Struct::SlabobjExt, 16)
        .member(Field::SlabobjExtObjcg, 0, 8)
        .word(0x4008, direct(0x1100).0)
        // The second object of four is charged, and what lies behind them is not asked.
        .word(0x5010, direct(0x4000).0)
        .word(0x5040, direct(0x4000).0)
        .kernel();
    let mut charges = kernel.charges().unwrap();
    let mut page = [0; 64];
    page[0x38..0x40].copy_from_slice(&(direct(0x5000).0 | 1).to_le_bytes());
    let mut charged = Vec::new();
    charges.of_slab(&page, 4, |index, group| charged.push((index, group)));
    assert_eq!(charged, [(1, 0)]);
    assert_eq!(charges.groups()[0].path, "/a");
}

#[test]
fn a_group_that_leads_to_no_root_is_none() {
    // Its parent is itself.
    let circle = world(&[("", 0, ONLINE, 9), ("a", 0, ONLINE, 5)]).word(0x1120, direct(0x1100).0);
    let paths: Vec<_> = found(&circle.kernel())
        .into_iter()
        .map(|group| group.path)
        .collect();
    assert_eq!(paths, ["/"]);
    // So is the next of its siblings.
    let circle = world(&[("", 0, ONLINE, 9), ("a", 0, ONLINE, 5)]).word(0x1100, direct(0x1100).0);
    assert_eq!(found(&circle.kernel()).len(), 2);
    // A name that is nowhere.
    let nowhere = VirtAddr(direct(0x1000).0 + (1 << 40));
    let lost = world(&[("", 0, ONLINE, 9), ("a", 0, ONLINE, 5)]).word(0x1190, nowhere.0);
    assert_eq!(found(&lost.kernel()).len(), 1);
}
