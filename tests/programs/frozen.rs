//! A program with the arena of `syscalls` for its memory: it takes some, freezes the arena, and asks for more, as nothing on
//! the far side of clone3 may. The test looks at how it ends.

#[global_allocator]
static ARENA: syscalls::Arena = syscalls::Arena;

fn main() {
    let before = vec![7u8; 1 << 16];
    let zeros = vec![0u8; 4 << 20];
    assert!(before.iter().all(|b| *b == 7) && zeros.iter().all(|b| *b == 0));
    drop(zeros);
    assert!(vec![0u8; 1 << 20].iter().all(|b| *b == 0), "given out again, it is zero again");
    syscalls::freeze();
    let after = vec![1u8; std::env::args().count() * 4096];
    std::process::exit(i32::from(after[0]));
}
