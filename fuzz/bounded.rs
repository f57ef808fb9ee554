//! Memory of the code under test: more than 64 MB alive at once is a failure, as a crash is. The fuzzer's own memory is not
//! counted, because it does not come from here.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

/// Most bytes that reading any input may hold at once.
const LIMIT: usize = 64 << 20;

struct Bounded {
    alive: AtomicUsize,
}

#[global_allocator]
static MEMORY: Bounded = Bounded { alive: AtomicUsize::new(0) };

impl Bounded {
    fn take(&self, bytes: usize) {
        if self.alive.fetch_add(bytes, Ordering::Relaxed) + bytes > LIMIT {
            std::process::abort();
        }
    }
}

// SAFETY: everything is handed on to the system's allocator as it came.
unsafe impl GlobalAlloc for Bounded {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        self.take(layout.size());
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        self.alive.fetch_sub(layout.size(), Ordering::Relaxed);
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        self.take(layout.size());
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        self.take(size);
        self.alive.fetch_sub(layout.size(), Ordering::Relaxed);
        unsafe { System.realloc(pointer, layout, size) }
    }
}
