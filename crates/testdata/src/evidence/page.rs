//! Answers on what a page is.

use anyhow::{Context, Result, bail, ensure};

use super::answers::{below, hex, member, numbers};
use super::compare::{Facts, STRUCT, equal};
use super::{Answer, holding};

/// Members of `struct page` that `why` tells, and what lies in those that are structures.
const MEMBERS: [(&str, Option<&str>, &str); 8] = [
    ("flags", None, "/flags"),
    ("_refcount", Some("counter"), "/refcount"),
    ("_mapcount", Some("counter"), "/mapcount_word"),
    ("mapping", None, "/mapping"),
    ("index", None, "/index"),
    ("private", None, "/private"),
    ("lru", Some("next"), "/lru/0"),
    ("lru", Some("prev"), "/lru/1"),
];

impl Facts<'_> {
    pub(super) fn page(&self, answer: &Answer) -> Result<()> {
        let (virt, phys) = (self.hex("/virtual")?, self.hex("/physical")?);
        let at = self.hex("/page_struct_at")?;
        if answer.tool == "drgn" {
            return equal(&numbers(&answer.text), &Some(vec![phys, virt, at]));
        }
        let found = below(&answer.text, "VIRTUAL PHYSICAL").map(|words| numbers(&words.join(" ")));
        equal(&found, &Some(Some(vec![virt, phys])))?;
        let page = below(&answer.text, "PAGE PHYSICAL").context("no page")?;
        equal(&page.first().and_then(|at| hex(at)), &Some(at))
    }

    pub(super) fn class(&self, answer: &Answer) -> Result<()> {
        let line = &answer.line;
        let detail = self.0["class_detail"].as_str().unwrap_or_default();
        if line.contains("page_type") {
            let types = match answer.tool.as_str() {
                "crash" => member(&answer.text, "page_type", None),
                _ => hex(&answer.text),
            };
            // Of its own kind each clears a bit: include/linux/page-flags.h of 6.1.
            let bit = match self.class_name() {
                "free" => 0x80,
                "offline" => 0x100,
                "page_table" => 0x200,
                class => bail!("a type of {class} is not known here"),
            };
            return equal(&types, &Some(0xffff_ffff & !bit));
        }
        let of_object = format!("kmem {:x}", self.hex("/virtual")?);
        if *line == of_object || line.contains("find_containing_slab_cache") {
            let (cache, objects) = detail
                .strip_prefix("cache ")
                .and_then(|detail| detail.split_once(", "))
                .context("no cache")?;
            holding::slab(answer, cache)?;
            if answer.tool == "crash" {
                let slab = below(&answer.text, "SLAB MEMORY").context("no slab")?;
                // TOTL, then ALLOCATED: crash knows as few CPUs' lists as we do.
                let total = slab.get(3).copied().unwrap_or_default();
                ensure!(
                    objects.contains(&format!(" of {total} objects")),
                    "{objects}"
                );
            }
            return Ok(());
        }
        if line.contains("decode_page_flags") {
            let is_slab = answer.text.contains("PG_slab");
            return equal(&is_slab, &(self.class_name() == "slab"));
        }
        if answer.text.contains("VMAP_AREA") || line.contains("identify_address") {
            return holding::area(answer, detail);
        }
        let page = below(&answer.text, "PAGE PHYSICAL").context("no page")?;
        let first = self.first("/page_struct_at", STRUCT)?;
        equal(&page.first().and_then(|at| hex(at)), &Some(first))?;
        let is_slab = page.iter().skip(6).any(|flags| is_flag(flags, "slab"));
        equal(&is_slab, &(self.class_name() == "slab"))?;
        if first != self.hex("/page_struct_at")? {
            // What the struct page has is told of the page itself.
            return Ok(());
        }
        let count = page.get(4).and_then(|count| count.parse().ok());
        equal(&count, &Some(self.number("/page_struct/refcount")?))?;
        let flags = page.get(5).and_then(|flags| hex(flags));
        equal(&flags, &Some(self.hex("/page_struct/flags")?))
    }

    pub(super) fn unit(&self, answer: &Answer) -> Result<()> {
        let pages = self.number("/unit/pages")?;
        let value = |name: &str, inner| match answer.tool.as_str() {
            "crash" => member(&answer.text, name, inner),
            _ => hex(&answer.text),
        };
        if answer.line.contains("compound_head") {
            let first = self.first("/page_struct_at", STRUCT)?;
            return equal(&value("compound_head", None), &Some(first + 1));
        }
        if answer.line.contains("_refcount") {
            return equal(&value("_refcount", Some("counter")), &Some(0));
        }
        equal(&value("private", None), &Some(u64::from(pages.ilog2())))
    }

    pub(super) fn page_struct(&self, answer: &Answer) -> Result<()> {
        for (name, inner, pointer) in MEMBERS {
            let pointer = format!("/page_struct{pointer}");
            let claimed = self.hex(&pointer).or_else(|_| self.number(&pointer))?;
            // Some are of 32 bits, which drgn prints with their sign.
            let found = member(&answer.text, name, inner);
            let found = found.map(|value| match inner {
                Some("counter") => value & 0xffff_ffff,
                _ => value,
            });
            equal(&found, &Some(claimed)).context(name)?;
        }
        Ok(())
    }
}

/// Whether crash's names of flags, with commas between them, have this one.
fn is_flag(names: &str, flag: &str) -> bool {
    names.split(',').any(|name| name == flag)
}
