"""The words of the IDL (facts `sandesh-ksync.md` sections 2.1 and 2.2)."""

from __future__ import annotations


def words(text: str) -> frozenset[str]:
    """The words of `text`, which spaces part."""
    return frozenset(text.split())


BASE_TYPES = words(
    "bool byte i16 i32 i64 u16 u32 u64 ipv4 ipaddr double string binary xml ct_uuid_t slist"
)
CONTAINERS = {"list": 1, "set": 1, "map": 2}
SANDESH_KINDS = words(
    "systemlog request response trace traceobject buffer uve dynamicuve objectlog flowlog "
    "alarm sessionlog"
)
LOG_KINDS = words("systemlog objectlog flowlog sessionlog trace traceobject")
OPTIONAL_KINDS = words("struct union exception request response objectlog")
UVE_KINDS = words("uve dynamicuve alarm")
STRUCTURE = words(
    "include namespace cpp_include const typedef enum senum struct union exception service "
    "sandesh extends required optional oneway async throws void xsd_all xsd_optional "
    "xsd_nillable xsd_attrs staticfunction abcfunction"
)
# The old spelling of `namespace LANGUAGE`, and the language that each stands for.
OLD_NAMESPACES = {
    "cpp_namespace": "cpp",
    "php_namespace": "php",
    "py_module": "py",
    "perl_package": "perl",
    "ruby_namespace": "rb",
    "smalltalk_category": "smalltalk.category",
    "smalltalk_prefix": "smalltalk.prefix",
    "java_package": "java",
    "cocoa_package": "cocoa",
    "cocoa_prefix": "cocoa",
    "csharp_namespace": "csharp",
    "delphi_namespace": "delphi",
    "xsd_namespace": "xsd",
}
# Words that some target language keeps for itself: they cannot be names.
RESERVED = words(
    """
    BEGIN END __CLASS__ __DIR__ __FILE__ __FUNCTION__ __LINE__ __METHOD__ __NAMESPACE__
    abstract alias and args as assert begin break case catch class clone continue declare def
    default del delete do dynamic elif else elseif elsif end enddeclare endfor endforeach endif
    endswitch endwhile ensure except exec finally float for foreach from function global goto if
    implements import in inline instanceof interface is lambda module native new next nil not or
    package pass public print private protected raise redo rescue retry register return self
    sizeof static super switch synchronized then this throw transient try undef unless
    unsigned until use var virtual volatile when while with xor yield
    """
)
NOT_NAMES = RESERVED | BASE_TYPES | STRUCTURE | frozenset(CONTAINERS)
