//! The node, its zones and their free pages (`include/linux/mmzone.h`,
//! `mm/page_alloc.c`), and its LRU lists.

use std::ops::Range;

use super::addresses::{PAGE, direct};
use super::build::{Build, FRAMES};
use super::memmap::{DMA32, StructPage};
use super::variables::CPUS;

/// `sizeof(struct zone)` and `sizeof(pg_data_t)` of this configuration.
const ZONE: u64 = 1472;
const NODE: u64 = 18304;
/// Orders of free blocks (`MAX_ORDER`), and lists of each (`MIGRATE_TYPES`, the last
/// for isolated pages).
const ORDERS: u64 = 11;
const TYPES: u64 = 5;
const MOVABLE: u64 = 1;

/// Where in a CPU's unit lie the page lists of the zones (`struct per_cpu_pageset`,
/// 128 bytes each) and the differences of the node's counters.
const PAGESETS: u64 = 0x1_8000;
const NODE_DIFFERENCES: u64 = 0x1_9000;
/// Free pages on each CPU's list.
const ON_CPU: usize = 31;

impl Build {
    /// Places the node and its zones, and gives all that is free to them. What is
    /// taken at boot or allocated has to be by now.
    pub(super) fn place_node(&mut self) {
        let node = direct(self.at_boot(NODE.div_ceil(PAGE), 1));
        self.write_u64(self.variables.address("node_data"), node);
        // Pages that were freed last wait on lists of CPUs.
        let waiting: Vec<Vec<u64>> = (0..CPUS)
            .map(|_| (0..ON_CPU).map(|_| self.single()).collect())
            .collect();
        let zones = [
            (1..DMA32, "DMA"),
            (DMA32..FRAMES, "DMA32"),
            (0..0, "Normal"),
        ];
        for (index, (frames, name)) in (0..).zip(zones) {
            let none = vec![Vec::new(); CPUS as usize];
            let waiting = if index == 1 { &waiting } else { &none };
            let zone = node + index * ZONE;
            self.write_u64(zone + 80, node);
            self.write_u64(zone + 88, PAGESETS + index * 128);
            self.place_zone(zone, &frames, name);
            self.place_pagesets(index, waiting);
            self.free_blocks(zone, frames);
        }
        for index in 3..5 {
            // ZONE_MOVABLE and ZONE_DEVICE are empty.
            self.write_u64(node + index * ZONE + 80, node);
        }
        self.write_u32(node + 17632, 3);
        self.write_u64(node + 17640, 1);
        self.write_u64(node + 17648, FRAMES - 1);
        self.write_u64(node + 17656, FRAMES - 1);
        self.write_u32(node + 17664, 0);
        let lru = std::mem::take(&mut self.lru);
        for (list, frames) in (0..).zip(&lru) {
            self.write_page_list(node + 17888 + list * 16, frames);
        }
        self.write_u64(node + 18048, NODE_DIFFERENCES);
        // The lists, NR_ANON_MAPPED, NR_FILE_PAGES and NR_SHMEM.
        let counts = lru.each_ref().map(|list| list.len() as u64);
        let vm_stat = node + 18056;
        for (item, count) in (0..).zip(counts) {
            self.write_u64(vm_stat + item * 8, count);
        }
        let shmem = self.shmem;
        self.write_u64(vm_stat + 12 * 8, counts[0] + counts[1] - shmem);
        self.write_u64(vm_stat + 14 * 8, counts[2] + counts[3] + shmem);
        self.write_u64(vm_stat + 18 * 8, shmem);
        // NR_PAGETABLE, a counter of zones.
        let tables = self.user_tables;
        self.write_u64(node + ZONE + 1280 + 8 * 8, tables);
    }

    fn place_zone(&mut self, zone: u64, frames: &Range<u64>, name: &str) {
        let spanned = frames.end - frames.start;
        let managed = spanned - self.count_boot(frames.clone());
        let name = self.string(name);
        for (at, word) in [
            (96, frames.start),
            (104, managed),
            (112, spanned),
            (120, spanned),
            (128, name),
        ] {
            self.write_u64(zone + at, word);
        }
    }

    /// Lists of single free pages, of which each CPU has some of its own.
    fn place_pagesets(&mut self, zone: u64, waiting: &[Vec<u64>]) {
        for (cpu, frames) in (0..).zip(waiting) {
            let set = self.percpu(PAGESETS + zone * 128, cpu);
            self.write_u32(set, frames.len() as u32);
            self.write_u32(set + 4, 186);
            self.write_u32(set + 8, 31);
            for kind in 0..3 {
                let frames = if kind == MOVABLE { &frames[..] } else { &[] };
                for &pfn in frames {
                    self.set_page(pfn, StructPage::inside(pfn));
                    self.on_cpus.push(pfn);
                }
                self.write_page_list(set + 16 + kind * 16, frames);
            }
        }
    }

    /// Gathers what is free into the largest blocks there can be.
    fn free_blocks(&mut self, zone: u64, frames: Range<u64>) {
        let mut lists = vec![Vec::new(); ORDERS as usize];
        let mut pfn = frames.start;
        let mut free = 0;
        while pfn < frames.end {
            let fits = |order: &u32| {
                let end = pfn + (1 << order);
                pfn.is_multiple_of(1 << order)
                    && end <= frames.end
                    && (pfn..end).all(|pfn| self.is_free(pfn))
            };
            let largest = (0..ORDERS as u32).rev().find(fits);
            let Some(order) = largest else {
                pfn += 1;
                continue;
            };
            lists[order as usize].push(pfn);
            free += 1u64 << order;
            pfn += 1 << order;
        }
        for (order, blocks) in (0..).zip(&lists) {
            let area = zone + 192 + u64::from(order) * (TYPES * 16 + 8);
            for &pfn in blocks {
                self.set_free(pfn, StructPage::buddy(pfn, order));
            }
            for kind in 0..TYPES {
                let blocks = if kind == MOVABLE { &blocks[..] } else { &[] };
                self.write_page_list(area + kind * 16, blocks);
            }
            self.write_u64(area + TYPES * 16, blocks.len() as u64);
        }
        // NR_FREE_PAGES
        self.write_u64(zone + 1280, free);
    }
}
