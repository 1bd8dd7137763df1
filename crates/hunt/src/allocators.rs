//! Who allocated pages, by the kernel's own records: stacks of page_owner, lines
//! of code of memory allocation profiling.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use pagehound_kernel::{Allocation, Kernel, PageMap, Pages, Records, Site, Symbolizer};
use pagehound_model::Allocator;
use pagehound_vmcore::{Pfn, VirtAddr};

mod generic;

use generic::is_generic;

/// Units of a finding whose record is looked at: more say the same.
const SAMPLED: usize = 1 << 16;

/// Functions told of a finding, by each kind of record.
const TOLD: usize = 5;

/// Frames of a stack that are read: page_owner keeps 16.
const FRAMES: usize = 32;

/// Stacks and lines kept with their names; when there are more, all are forgotten
/// and looked up anew.
const KEPT: usize = 1 << 12;

/// The innermost frames of stacks that stand for others: of pages from before
/// page_owner began, where there was no room for a stack, and where an interrupt
/// allocated while page_owner was at work for the same task (mm/page_owner.c).
const STAND_INS: [(&str, &str); 3] = [
    ("register_early_stack", "before page_owner was on"),
    ("register_failure_stack", "unknown, no stack could be kept"),
    (
        "register_dummy_stack",
        "an interrupt of page_owner, which took no stack",
    ),
];

/// A function, and where it is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Function {
    name: String,
    module: Option<String>,
}

/// A stack by its symbols.
#[derive(Debug)]
struct Stack {
    symbols: Vec<String>,
    /// Who allocated, or in words why that is not known.
    function: Function,
    known: bool,
}

/// What records tell of one page.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// What page_owner knows, and the symbols of the stack, the innermost first.
    pub owner: Option<(Allocation, Vec<String>)>,
    /// The line of code.
    pub site: Option<Site>,
}

/// Records of allocations, with names.
pub struct Allocators<'k> {
    map: &'k PageMap,
    /// None where the kernel keeps none.
    records: Option<(Records<'k>, Symbolizer<'k>)>,
    stacks: RefCell<HashMap<u32, Option<Rc<Stack>>>>,
    sites: RefCell<HashMap<VirtAddr, Option<Rc<Site>>>>,
}

impl<'k> Allocators<'k> {
    /// Finds the records of the kernel.
    pub fn of(kernel: &'k Kernel<'k>, pages: &'k Pages) -> Allocators<'k> {
        let records = kernel.records(&pages.memmap);
        Allocators {
            map: &pages.map,
            records: records.map(|records| (records, kernel.symbolizer())),
            stacks: RefCell::default(),
            sites: RefCell::default(),
        }
    }

    /// Whether the kernel keeps no records.
    pub fn is_empty(&self) -> bool {
        self.records.is_none()
    }

    /// Who allocated the `count` units that begin with `heads`, of each kind of
    /// record the largest.
    pub(crate) fn among(&self, heads: impl Iterator<Item = Pfn>, count: usize) -> Vec<Allocator> {
        let Some((records, _)) = &self.records else {
            return Vec::new();
        };
        let mut looked_at = 0_u64;
        let mut owners: HashMap<Function, Stacks> = HashMap::new();
        let mut sites: HashMap<Rc<Site>, u64> = HashMap::new();
        for head in heads.step_by(count.div_ceil(SAMPLED).max(1)) {
            let pages = self.map.unit(head).len();
            looked_at += pages;
            if let Some((handle, stack)) = self.owner(records, head) {
                let of = owners.entry(stack.function.clone()).or_default();
                of.pages += pages;
                *of.stacks.entry(handle).or_default() += pages;
            }
            if let Some(site) = self.site(records, head) {
                *sites.entry(site).or_default() += pages;
            }
        }
        let mut owners: Vec<Allocator> = owners
            .into_iter()
            .map(|(function, stacks)| {
                let handle = stacks.largest();
                let stack = handle.and_then(|handle| self.stack(records, handle));
                of_stack(function, stack.as_deref(), stacks.pages, looked_at)
            })
            .collect();
        let mut sites: Vec<Allocator> = sites
            .into_iter()
            .map(|(site, pages)| of_site(&site, pages, looked_at))
            .collect();
        for all in [&mut owners, &mut sites] {
            all.sort_by(|one, other| {
                let by_pages = other.pages.cmp(&one.pages);
                by_pages.then_with(|| (&one.function, one.line).cmp(&(&other.function, other.line)))
            });
            all.truncate(TOLD);
        }
        owners.append(&mut sites);
        owners
    }

    /// `function [module]` that allocated the block a page is in, page_owner asked
    /// first; `None` where no record tells.
    pub fn name(&self, pfn: Pfn) -> Option<String> {
        let (records, _) = self.records.as_ref()?;
        let owner = self.owner(records, pfn).filter(|(_, stack)| stack.known);
        let function = owner.map(|(_, stack)| stack.function.clone());
        let function = function.or_else(|| {
            let site = self.site(records, self.map.head(pfn))?;
            Some(Function {
                name: site.function.clone(),
                module: site.module.clone(),
            })
        })?;
        Some(match function.module {
            Some(module) => format!("{} [{module}]", function.name),
            None => function.name,
        })
    }

    /// All that records tell of a page; `None` where the kernel keeps none.
    pub fn recorded(&self, pfn: Pfn) -> Option<Recorded> {
        let (records, _) = self.records.as_ref()?;
        let owner = records.owner(pfn).map(|owner| {
            let stack = self.stack(records, owner.stack);
            let symbols = stack.map_or(Vec::new(), |stack| stack.symbols.clone());
            (owner, symbols)
        });
        let site = self.site(records, self.map.head(pfn));
        Some(Recorded {
            owner,
            site: site.map(|site| (*site).clone()),
        })
    }

    /// The stack of the allocation that a page is from, and its handle.
    fn owner(&self, records: &Records<'_>, pfn: Pfn) -> Option<(u32, Rc<Stack>)> {
        let owner = records.owner(pfn).filter(|owner| owner.allocated)?;
        Some((owner.stack, self.stack(records, owner.stack)?))
    }

    fn stack(&self, records: &Records<'_>, handle: u32) -> Option<Rc<Stack>> {
        let mut stacks = self.stacks.borrow_mut();
        if stacks.len() >= KEPT {
            stacks.clear();
        }
        let known = stacks.entry(handle).or_insert_with(|| {
            let addresses = records.stack(handle)?;
            let (_, symbolizer) = self.records.as_ref()?;
            let symbols = addresses.into_iter().take(FRAMES).map(|addr| {
                let symbol = symbolizer.symbolize(addr);
                symbol.unwrap_or_else(|| format!("{addr}"))
            });
            Some(Rc::new(Stack::of(symbols.collect())))
        });
        known.clone()
    }

    fn site(&self, records: &Records<'_>, head: Pfn) -> Option<Rc<Site>> {
        let tag = records.tag(head)?;
        let mut sites = self.sites.borrow_mut();
        if sites.len() >= KEPT {
            sites.clear();
        }
        let known = sites
            .entry(tag)
            .or_insert_with(|| records.site(tag).map(Rc::new));
        known.clone()
    }
}

impl Stack {
    fn of(symbols: Vec<String>) -> Stack {
        let innermost = symbols.first().map(|symbol| function(symbol));
        let stand_in = innermost.and_then(|innermost| {
            let mut known = STAND_INS.iter();
            known.find(|(name, _)| *name == innermost.name)
        });
        let function = match stand_in {
            Some((_, what)) => Function {
                name: (*what).to_owned(),
                module: None,
            },
            None => {
                let mut functions = symbols.iter().map(|symbol| function(symbol));
                let mut asked = functions.clone().filter(|function| {
                    // A module may call its own as the kernel calls one of these.
                    function.module.is_some() || !is_generic(&function.name)
                });
                let unknown = || Function {
                    name: "unknown".to_owned(),
                    module: None,
                };
                // A stack that is the allocator's alone was cut off: its outermost
                // frame is nearest to who asked.
                asked
                    .next()
                    .or_else(|| functions.next_back())
                    .unwrap_or_else(unknown)
            }
        };
        Stack {
            known: stand_in.is_none(),
            symbols,
            function,
        }
    }
}

/// Function and module that a stack's pages were allocated for, the innermost
/// symbol first.
pub(crate) fn asked<'a>(symbols: impl Iterator<Item = &'a str>) -> (String, Option<String>) {
    let function = Stack::of(symbols.map(str::to_owned).collect()).function;
    (function.name, function.module)
}

/// `e1000_alloc_rx` and `e1000` of `e1000_alloc_rx+0x1a4/0x2b0 [e1000]`.
fn function(symbol: &str) -> Function {
    let (place, module) = match symbol.split_once(" [") {
        Some((place, module)) => (place, module.strip_suffix(']')),
        None => (symbol, None),
    };
    let name = place.split_once('+').map_or(place, |(name, _)| name);
    // Parts that the compiler made of a function: `.isra.0`, `.constprop.0`.
    let name = name.split_once('.').map_or(name, |(name, _)| name);
    Function {
        name: name.to_owned(),
        module: module.map(str::to_owned),
    }
}

/// Stacks of one function, with the pages of each by its handle.
#[derive(Default)]
struct Stacks {
    pages: u64,
    stacks: HashMap<u32, u64>,
}

impl Stacks {
    /// Handle of the stack that most pages have.
    fn largest(&self) -> Option<u32> {
        let stacks = self.stacks.iter();
        let most = stacks.max_by_key(|&(&handle, &pages)| (pages, std::cmp::Reverse(handle)));
        most.map(|(&handle, _)| handle)
    }
}

fn of_stack(function: Function, stack: Option<&Stack>, pages: u64, looked_at: u64) -> Allocator {
    Allocator {
        function: function.name,
        module: function.module,
        source: Allocator::PAGE_OWNER.into(),
        pages,
        looked_at,
        stack: stack.map_or(Vec::new(), |stack| stack.symbols.clone()),
        file: None,
        line: None,
    }
}

fn of_site(site: &Site, pages: u64, looked_at: u64) -> Allocator {
    Allocator {
        function: site.function.clone(),
        module: site.module.clone(),
        source: Allocator::ALLOCATION_TAGS.into(),
        pages,
        looked_at,
        stack: Vec::new(),
        file: Some(site.file.clone()),
        line: Some(site.line),
    }
}

#[cfg(test)]
mod tests {
    fn asked(symbols: &[&str]) -> (String, Option<String>) {
        super::asked(symbols.iter().copied())
    }

    #[test]
    fn the_function_is_the_innermost_that_is_not_the_allocators() {
        let driver = asked(&[
            "post_alloc_hook+0x177/0x1a0",
            "get_page_from_freelist+0xd01/0xd80",
            "__alloc_pages_noprof+0x39e/0x7e0",
            "e1000_alloc_jumbo_rx_buffers+0x1a4/0x2b0 [e1000]",
            "e1000_clean_rx_irq+0x2/0x5 [e1000]",
        ]);
        let e1000 = Some("e1000".to_owned());
        assert_eq!(driver, ("e1000_alloc_jumbo_rx_buffers".to_owned(), e1000));
        let slab = asked(&[
            "allocate_slab+0xbc/0x3f0",
            "___slab_alloc.constprop.0+0x528/0x8a0",
            "kmem_cache_alloc+0x224/0x3b0",
            "sk_prot_alloc+0x58/0x1a0",
        ]);
        assert_eq!(slab, ("sk_prot_alloc".to_owned(), None));
    }

    #[test]
    fn a_function_of_a_module_is_never_the_allocators() {
        let own = asked(&[
            "__alloc_pages+0x1/0x2",
            "alloc_pages+0x1/0x2 [other]",
            "init_module+0x1/0x2 [other]",
        ]);
        assert_eq!(own, ("alloc_pages".to_owned(), Some("other".to_owned())));
    }

    #[test]
    fn a_stack_that_stands_for_others_says_so() {
        let early = asked(&["register_early_stack+0x2f/0x40", "init_page_owner+0x1/0x2"]);
        assert_eq!(early.0, "before page_owner was on");
    }

    #[test]
    fn a_stack_that_is_cut_off_or_empty_has_a_function_all_the_same() {
        let cut = asked(&["post_alloc_hook+0x1/0x2", "__alloc_pages+0x1/0x2"]);
        assert_eq!(cut.0, "__alloc_pages");
        assert_eq!(asked(&[]).0, "unknown");
        // No symbol: the address itself.
        assert_eq!(asked(&["ffffffff81000000"]).0, "ffffffff81000000");
    }
}
