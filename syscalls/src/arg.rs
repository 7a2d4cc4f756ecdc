//! Arguments of system calls. Each knows what goes into the register, what the record keeps of the memory that it points
//! to, and how it is shown. The constructors take live references, so what the gate copies is there.

use crate::fd::At;
use crate::flags::Named;
use crate::record::{Later, OUT, Writer};
use core::ffi::CStr;
use core::marker::PhantomData;
use linux_raw_sys::system::__NEW_UTS_LEN;

macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident)*) => {
        /// How an argument is shown: one byte in its record. From [`NAMED`] on follow the lists of `flags`.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        #[repr(u8)]
        pub(crate) enum Kind { $($(#[$doc])* $kind),* }

        impl Kind {
            /// The kind of a byte; none, if a damaged file holds it.
            pub(crate) fn of(byte: u8) -> Option<Kind> {
                [$(Kind::$kind),*].get(usize::from(byte)).copied()
            }
        }
    };
}

kinds! {
    Int
    Uint
    /// A user or group; the highest number, which means "leave it as it is", is -1.
    Id
    Octal
    Hex
    /// A number that is an address: 0 is NULL.
    Address
    Fd
    /// A path, which is shown whole.
    Path
    /// A string or bytes, shown up to 32 characters, as strace does.
    Text
    /// Directory entries: their number is kept.
    Entries
    Argv
    /// An environment: the number of its strings is kept.
    Envp
    Device
    Signal
    IoPriority
    // Structures.
    OpenHow
    MountAttr
    CloneArgs
    Stat
    StatFs
    SigInfo
    SigSet
    SigAction
    TimeSpec
    RLimit
    PollFds
    FdPair
    CapHeader
    CapData
    Gids
    IfReq
    BpfLoad
    BpfAttach
    BpfQuery
    BpfById
    Utsname
    SchedAttr
    /// A classic BPF program: its length is kept.
    Filter
    SockAddr
    Message
    /// A message as it was received.
    Received
    Number
    Termios
    WinSize
    /// A set of memory nodes.
    Nodes
    /// A set of processors.
    Cpus
    /// A structure of another process: its text is kept.
    Shown
    /// Flags of another process: their text is kept.
    ShownFlags
}

/// The kind of the first list of `flags`.
pub(crate) const NAMED: u8 = 128;

/// What a record keeps of the memory that an argument points to.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Keep {
    Nothing = 0,
    /// Bytes that the kernel reads.
    In,
    /// Bytes that the kernel fills in.
    Out,
    /// Bytes that the kernel fills in: as many as the result says.
    Result,
    /// Bytes that the kernel reads and changes.
    InOut,
    /// `clone_args`, and the descriptor that the kernel writes through it.
    Clone,
    /// How many directory entries the kernel has written.
    Entries,
    /// The strings of a vector.
    Argv,
    /// How many strings a vector has: `kept` of them.
    Envp,
}

/// One argument. What it points to lives as long as it does. Two words: every call has some.
#[repr(C)]
pub(crate) struct Arg<'a> {
    pub value: usize,
    pub kind: u8,
    keep: Keep,
    /// The kernel reads more bytes than are kept.
    cut: bool,
    /// Bytes of which the record keeps a copy, at the most.
    kept: u32,
    lives: PhantomData<&'a mut ()>,
}

const _: () = assert!(size_of::<Arg>() == 16);

/// Longest path that is kept: PATH_MAX.
const PATH: usize = libc::PATH_MAX as usize;
/// Longest other string that is kept: strace's default limit.
const STRING: usize = 32;
/// A record has room for at most so many bytes of what the kernel fills in.
const FILLED: usize = 496;

#[inline(always)]
fn number<'a>(value: usize, kind: Kind) -> Arg<'a> {
    memory(value, 0, kind, Keep::Nothing)
}

#[inline(always)]
fn memory<'a>(value: usize, kept: usize, kind: Kind, keep: Keep) -> Arg<'a> {
    Arg { value, kind: kind as u8, keep, cut: false, kept: kept as u32, lives: PhantomData }
}

#[inline(always)]
pub(crate) fn int<'a>(value: i32) -> Arg<'a> {
    number(value as isize as usize, Kind::Int)
}

/// An offset, which has a sign.
#[inline(always)]
pub(crate) fn offset<'a>(value: usize) -> Arg<'a> {
    number(value, Kind::Int)
}

#[inline(always)]
pub(crate) fn uint<'a>(value: usize) -> Arg<'a> {
    number(value, Kind::Uint)
}

#[inline(always)]
pub(crate) fn id<'a>(value: u32) -> Arg<'a> {
    number(value as usize, Kind::Id)
}

#[inline(always)]
pub(crate) fn octal<'a>(value: u32) -> Arg<'a> {
    number(value as usize, Kind::Octal)
}

#[inline(always)]
pub(crate) fn hex<'a>(value: usize) -> Arg<'a> {
    number(value, Kind::Hex)
}

#[inline(always)]
pub(crate) fn null<'a>() -> Arg<'a> {
    number(0, Kind::Address)
}

/// An address of which the record keeps nothing but the number.
///
/// # Safety
/// The call may change the memory at this address: no live value of the program is there.
#[inline(always)]
pub(crate) unsafe fn address<'a>(value: usize) -> Arg<'a> {
    number(value, Kind::Address)
}

#[inline(always)]
pub(crate) fn fd<'a>(at: At) -> Arg<'a> {
    number(at.0 as isize as usize, Kind::Fd)
}

#[inline(always)]
pub(crate) fn device<'a>(major: u32, minor: u32) -> Arg<'a> {
    number(libc::makedev(major, minor) as usize, Kind::Device)
}

#[inline(always)]
pub(crate) fn signal<'a>(number_of: i32) -> Arg<'a> {
    number(number_of as usize, Kind::Signal)
}

#[inline(always)]
pub(crate) fn io_priority<'a>(value: u32) -> Arg<'a> {
    number(value as usize, Kind::IoPriority)
}

/// Flags, or one of a list.
#[inline(always)]
pub(crate) fn named<'a, T: Named>(value: T) -> Arg<'a> {
    let kind = const { NAMED + T::PLACE };
    Arg { kind, ..number(value.bits() as usize, Kind::Uint) }
}

pub(crate) fn path(path: &CStr) -> Arg<'_> {
    let len = path.count_bytes();
    Arg { cut: len > PATH, ..memory(path.as_ptr() as usize, len.min(PATH), Kind::Path, Keep::In) }
}

/// A string that is no path.
pub(crate) fn string(text: &CStr) -> Arg<'_> {
    bytes(text.to_bytes())
}

/// Bytes that the kernel reads.
pub(crate) fn bytes(bytes: &[u8]) -> Arg<'_> {
    inputs(bytes, STRING, Kind::Text)
}

/// A host name or a domain name. strace shows one that is too long for the kernel as an address.
pub(crate) fn machine_name(name: &[u8]) -> Arg<'_> {
    let kind = if name.len() > __NEW_UTS_LEN as usize { Kind::Address } else { Kind::Text };
    inputs(name, STRING, kind)
}

/// Bytes that the kernel fills in: as many as the result says.
pub(crate) fn buffer(bytes: &mut [u8]) -> Arg<'_> {
    memory(bytes.as_mut_ptr() as usize, bytes.len().min(STRING), Kind::Text, Keep::Result)
}

/// The same. The record keeps as much of it as it has room for.
pub(crate) fn words(bytes: &mut [u8]) -> Arg<'_> {
    memory(bytes.as_mut_ptr() as usize, bytes.len().min(FILLED), Kind::Text, Keep::Result)
}

/// A path that the kernel fills in.
pub(crate) fn path_buffer(bytes: &mut [u8]) -> Arg<'_> {
    memory(bytes.as_mut_ptr() as usize, bytes.len().min(FILLED), Kind::Path, Keep::Result)
}

/// Directory entries that the kernel fills in.
pub(crate) fn entries(bytes: &mut [u8]) -> Arg<'_> {
    memory(bytes.as_mut_ptr() as usize, size_of::<u32>(), Kind::Entries, Keep::Entries)
}

/// Structures of plain numbers, in which the kernel finds no address.
///
/// # Safety
/// Any bytes are a value of the type, and it holds no pointer that the kernel follows.
pub(crate) unsafe trait Plain {
    const KIND: Kind;
}

macro_rules! plain {
    ($($kind:ident: $type:ty;)*) => {
        // SAFETY: these are numbers; the kernel follows none of them.
        $(unsafe impl $crate::arg::Plain for $type {
            const KIND: $crate::arg::Kind = $crate::arg::Kind::$kind;
        })*
    };
}
pub(crate) use plain;

/// A structure that the kernel reads.
#[inline(always)]
pub(crate) fn input<T: Plain>(value: &T) -> Arg<'_> {
    memory(value as *const T as usize, size_of::<T>(), T::KIND, Keep::In)
}

/// A structure that the kernel fills in.
#[inline(always)]
pub(crate) fn output<T: Plain>(value: &mut T) -> Arg<'_> {
    memory(value as *mut T as usize, size_of::<T>(), T::KIND, Keep::Out)
}

/// A structure that the kernel reads and changes.
#[inline(always)]
pub(crate) fn in_out<T: Plain>(value: &mut T) -> Arg<'_> {
    memory(value as *mut T as usize, size_of::<T>(), T::KIND, Keep::InOut)
}

/// Several values that the kernel reads. The record keeps at most `most` of them.
pub(crate) fn inputs<T>(values: &[T], most: usize, kind: Kind) -> Arg<'_> {
    let kept = size_of_val(&values[..values.len().min(most)]);
    Arg { cut: values.len() > most, ..memory(values.as_ptr() as usize, kept, kind, Keep::In) }
}

/// Several values that the kernel reads and changes.
pub(crate) fn in_outs<T>(values: &mut [T], most: usize, kind: Kind) -> Arg<'_> {
    Arg { keep: Keep::InOut, value: values.as_mut_ptr() as usize, ..inputs(values, most, kind) }
}

/// A structure with addresses in it, of which the kernel reads `kept` bytes.
///
/// # Safety
/// What the addresses lead to lives across the call, and the kernel may do with it what the call says.
pub(crate) unsafe fn pointing<T>(value: *const T, kept: usize, kind: Kind) -> Arg<'static> {
    memory(value as usize, kept, kind, Keep::In)
}

/// A structure with addresses in it, which the kernel fills in.
///
/// # Safety
/// As above; and `value` may be written to.
pub(crate) unsafe fn pointing_out<T>(value: *mut T, kept: usize, kind: Kind) -> Arg<'static> {
    memory(value as usize, kept, kind, Keep::Out)
}

/// What clone3(2) is told: the kernel writes the child's handle through the pointer in it.
///
/// # Safety
/// Each address in it is 0, or leads to what lives across the call.
pub(crate) unsafe fn clone_args(args: &linux_raw_sys::general::clone_args) -> Arg<'_> {
    memory(args as *const _ as usize, size_of_val(args), Kind::CloneArgs, Keep::Clone)
}

/// A vector of arguments.
///
/// # Safety
/// It ends with a NULL, and its strings live across the call.
pub(crate) unsafe fn argv<'a>(at: usize) -> Arg<'a> {
    memory(at, 0, Kind::Argv, Keep::Argv)
}

/// An environment. `value`: where the kernel finds it, or found it when the call was made.
///
/// # Safety
/// `at` ends with a NULL, and its strings live across the call.
pub(crate) unsafe fn envp<'a>(value: usize, at: usize) -> Arg<'a> {
    memory(value, pointers(at).count(), Kind::Envp, Keep::Envp)
}

impl Arg<'_> {
    /// Whether the record has more of it than [`Arg::give`] writes.
    #[inline(always)]
    pub(crate) fn is_filled(&self) -> bool {
        self.keep as u8 > Keep::In as u8
    }

    /// What [`Arg::give`] writes.
    #[inline(always)]
    pub(crate) fn given_room(&self) -> usize {
        if self.keep == Keep::In { 4 + self.kept() } else { 0 }
    }

    /// Copies what the kernel reads.
    #[inline(always)]
    pub(crate) fn give(&self, writer: &mut Writer, tag: u8) {
        if self.keep == Keep::In {
            writer.put(tag, self.bytes(), self.cut);
        }
    }

    fn kept(&self) -> usize {
        self.kept as usize
    }

    /// An upper bound of what [`Arg::capture`] writes.
    pub(crate) fn room(&self) -> usize {
        match self.keep {
            Keep::Nothing | Keep::In => self.given_room(),
            Keep::Out | Keep::Result | Keep::Entries => 4 + self.kept().next_multiple_of(8),
            Keep::InOut | Keep::Clone => 8 + 2 * self.kept().next_multiple_of(8),
            Keep::Argv => 4 + argv_strings(self.value, |_| ()),
            Keep::Envp => 4 + size_of::<u32>(),
        }
    }

    /// Copies what the kernel reads, or takes room for what it will write. `tag`: which argument it is.
    pub(crate) fn capture(&self, writer: &mut Writer, tag: u8) -> Option<Later> {
        match self.keep {
            Keep::Nothing | Keep::In => self.give(writer, tag),
            Keep::Out | Keep::Result | Keep::Entries => return writer.later(tag | OUT, self.kept()),
            Keep::InOut | Keep::Clone => {
                writer.put(tag, self.bytes(), self.cut);
                return writer.later(tag | OUT, self.kept());
            }
            Keep::Argv => put_argv(writer, tag, self.value),
            Keep::Envp => _ = writer.put(tag, &self.kept.to_ne_bytes(), false),
        }
        None
    }

    /// Copies what the kernel wrote.
    pub(crate) fn fill(&self, later: Later, result: usize) {
        match self.keep {
            Keep::Result => later.fill(at(self.value, result.min(self.kept())), result > self.kept()),
            Keep::Entries => later.fill(&entry_count(at(self.value, result)).to_ne_bytes(), false),
            Keep::Clone => {
                let place = core::mem::offset_of!(linux_raw_sys::general::clone_args, pidfd);
                let pidfd = u64::from_ne_bytes(at(self.value + place, 8).try_into().unwrap_or_default());
                later.fill(at(pidfd as usize, size_of::<i32>()), false);
            }
            _ => later.fill(self.bytes(), false),
        }
    }

    fn bytes(&self) -> &[u8] {
        at(self.value, self.kept())
    }
}

/// Memory that an argument points to.
fn at<'a>(place: usize, len: usize) -> &'a [u8] {
    // SAFETY: the constructor took a reference to at least so many bytes, which lives as long as the argument.
    unsafe { core::slice::from_raw_parts(place as *const u8, len) }
}

/// How many entries getdents64 wrote. Each holds its length 16 bytes after its start (getdents(2)).
fn entry_count(mut entries: &[u8]) -> u32 {
    let mut count = 0;
    while let Some(&[a, b]) = entries.get(16..18) {
        let len = usize::from(u16::from_ne_bytes([a, b])).max(1);
        entries = entries.get(len..).unwrap_or_default();
        count += 1;
    }
    count
}

/// Strings of an argument vector that are kept, and the most bytes they take.
const ARGV_STRINGS: usize = STRING + 1;
const ARGV_ROOM: usize = ARGV_STRINGS * (STRING + 2);

/// The pointers of a vector that ends with a NULL.
fn pointers(at: usize) -> impl Iterator<Item = usize> {
    let pointer = move |i: usize| (at + i * size_of::<usize>()) as *const usize;
    // SAFETY: the constructor's caller vouches for the vector; it is not read past its NULL.
    (0..).map(move |i| unsafe { *pointer(i) }).take_while(|p| *p != 0)
}

/// Passes each string that is kept to `each`, cut to one byte more than is shown. Returns how many bytes they take with
/// their NULs.
fn argv_strings(at: usize, mut each: impl FnMut(&[u8])) -> usize {
    let mut total = 0;
    for string in pointers(at).take(ARGV_STRINGS) {
        let len = string_len(string);
        each(self::at(string, len));
        total += len + 1;
    }
    total
}

/// Copies the strings of a vector.
#[inline(never)]
fn put_argv(writer: &mut Writer, tag: u8, at: usize) {
    let mut text = [0; ARGV_ROOM];
    let mut len = 0;
    argv_strings(at, |string| {
        text[len..len + string.len()].copy_from_slice(string);
        len += string.len() + 1;
    });
    writer.put(tag, &text[..len], false);
}

/// The length of a C string, looking at no more bytes than are kept.
fn string_len(at: usize) -> usize {
    let mut len = 0;
    // SAFETY: the constructor's caller vouches for the string: every byte up to its NUL may be read.
    while len <= STRING && unsafe { *((at + len) as *const u8) } != 0 {
        len += 1;
    }
    len
}
