"""Archives that somebody packs to do harm, each really built."""

import gzip
import io
import struct
import tarfile
import zlib
from dataclasses import dataclass

Member = tuple[tarfile.TarInfo, bytes]


@dataclass(frozen=True, slots=True)
class Attack:
    """An archive that must be refused."""

    name: str
    data: bytes
    message: str
    """What the refusal says, as a regular expression: the member and what is wrong with it."""


def member(
    name: str, content: bytes = b"x", kind: bytes = tarfile.REGTYPE, link: str = ""
) -> Member:
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.size = kind, link, len(content)
    return info, content


def tar_gz(*members: Member, form: int = tarfile.PAX_FORMAT) -> bytes:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz", format=form) as tar:
        for info, data in members:
            tar.addfile(info, io.BytesIO(data))
    return content.getvalue()


def good() -> bytes:
    return tar_gz(member("weights.bin", b"w" * 5_000), member("./code/serve.py", b"print()"))


def attacks() -> list[Attack]:
    """All that concern any archive."""
    first = member("weights.bin", b"w" * 5_000)
    links = {
        "a symbolic link": (tarfile.SYMTYPE, "/etc/passwd"),
        "a symbolic link inside": (tarfile.SYMTYPE, "weights.bin"),
        "a hard link": (tarfile.LNKTYPE, "weights.bin"),
        "a hard link outside": (tarfile.LNKTYPE, "../../secret"),
    }
    others = {"a pipe": tarfile.FIFOTYPE, "a device": tarfile.CHRTYPE, "a disk": tarfile.BLKTYPE}
    outside = ("../evil", "/etc/evil", "a/../../evil", "..", "a\\..\\evil", "a/\x07evil")
    return [
        *(
            Attack(name, tar_gz(first, member("evil", b"", kind, to)), f"'evil'.* link to '{to}'")
            for name, (kind, to) in links.items()
        ),
        *(
            Attack(name, tar_gz(first, member("evil", b"", kind)), "'evil', which is (a device|no)")
            for name, kind in others.items()
        ),
        *(
            Attack(f"the name {name!r}", tar_gz(first, member(name)), "leads out of its folder")
            for name in outside
        ),
        Attack("a name twice", tar_gz(first, member("./weights.bin")), "weights.bin' twice"),
        Attack("a file and a folder", tar_gz(first, member("weights.bin/x")), "and as a folder"),
        Attack("a folder that is a file", tar_gz(member("a/b"), member("a")), "and as a folder"),
        Attack("cut short", good()[:-20], "damaged or cut short"),
        Attack("cut in the middle", good()[: len(good()) // 2], "damaged or cut short"),
        Attack("a wrong checksum", good()[:-8] + b"\0\0\0\0" + good()[-4:], "damaged or cut short"),
        Attack("no archive", b"PK\3\4 I am a zip", "damaged or cut short"),
        Attack("empty", b"", "damaged or cut short"),
        Attack("gzip of text", gzip.compress(b"hello" * 999), "damaged"),
        Attack("a damaged header", _damaged_header(), "damaged"),
        Attack("a sparse file", _sparse(), "sparse"),
        Attack("a bomb", _bomb(), "bomb"),
        Attack("a bomb of members", tar_gz(*(member(f"{n}", b"") for n in range(20_001))),
               "more than 20,000 files"),
        Attack("a name of 90 MB", _long_name(90 * 2**20), "claims 9\\d+ bytes"),
        Attack("a size of 8 exabytes", _size(2**63 - 1), "damaged or cut short"),
    ]  # fmt: skip


def pickles() -> list[Attack]:
    """Files that execute what they hold."""
    names = ("weights.pt", "weights.pth", "deep/model.pkl", "MODEL.PICKLE", "a.joblib", "last.ckpt")
    return [Attack(name, tar_gz(member(name)), f"'{name}'.*pickle") for name in names]


def _bomb() -> bytes:
    """200 MB of zeros in 200 kB."""
    info = tarfile.TarInfo("zeros")
    info.size = 200 * 2**20
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    zeros = bytes(2**20)
    packed = [packer.compress(info.tobuf()), *(packer.compress(zeros) for _ in range(200))]
    return b"".join([*packed, packer.compress(bytes(1024)), packer.flush()])


def _damaged_header() -> bytes:
    """tarfile alone takes a damaged header for the end."""
    plain = bytearray(gzip.decompress(tar_gz(member("a"), member("b"), form=tarfile.USTAR_FORMAT)))
    plain[1024 + 150] ^= 0xFF
    return gzip.compress(bytes(plain))


def _sparse() -> bytes:
    info = tarfile.TarInfo("holes")
    info.type, info.size = tarfile.GNUTYPE_SPARSE, 512
    header = bytearray(info.tobuf(tarfile.GNU_FORMAT))
    header[386:410] = b"00000000000\0" + b"00000001000\0"  # one piece at 0, 512 long
    header[483:495] = b"77777777777\0"  # and 8 GiB in all
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return gzip.compress(bytes(header) + bytes(512 + 1024))


def _long_name(length: int) -> bytes:
    info = tarfile.TarInfo("././@LongLink")
    info.type, info.size = tarfile.GNUTYPE_LONGNAME, length
    return gzip.compress(info.tobuf(tarfile.GNU_FORMAT) + b"a" * length, 9)


def _size(size: int) -> bytes:
    info = tarfile.TarInfo("huge")
    header = bytearray(info.tobuf(tarfile.GNU_FORMAT))
    header[124:136] = b"\x80\0\0\0" + struct.pack(">Q", size)
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return gzip.compress(bytes(header) + bytes(1024))
