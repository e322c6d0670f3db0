"""
Texts that would run scripts or load resources if a page treated them as markup.
"""

from __future__ import annotations

PAYLOADS = (
    "<script>window.ran=1</script>",
    "</script><script>window.ran=1</script>",
    "<!--<script>window.ran=1//",
    "]]><script>window.ran=1</script>",
    "<img src=x onerror=window.ran=1>",
    "<svg/onload=window.ran=1>",
    "<svg><animate onbegin=window.ran=1 attributeName=x dur=1s>",
    "\"><iframe srcdoc='<script>parent.ran=1</script>'></iframe>",
    "'-window.ran=1-'",
    '" autofocus onfocus=window.ran=1 x="',
    "`${window.ran=1}`",
    "{{7*7}}{% raw %}${7*7}<%= 7*7 %>",
    "javascript:window.ran=1",
    "<a href=javascript:window.ran=1>x</a>",
    "<style>@import 'https://elsewhere.example/x.css';</style>",
    "<base href=https://elsewhere.example/>",
    "<meta http-equiv=refresh content='0;url=https://elsewhere.example/'>",
    "<link rel=stylesheet href=https://elsewhere.example/x.css>",
    "<math><mtext></mtext><mglyph><style><img src=x onerror=window.ran=1>",
    "</title></style></textarea></noscript><script>window.ran=1</script>",
    "&lt;script&gt;window.ran=1&lt;/script&gt;",
    "line\u2028separator\u2029window.ran=1",
    "\u202egnp.exe\u202c and \u0000 and \x1b[31m",
    "$& $` $' $1 \\u003cscript\\u003e",
    "__proto__",
    "constructor",
)

RUNNING_SVG = (
    b'<svg xmlns="http://www.w3.org/2000/svg" width="80" height="80" onload="alert(1)">'
    b'<script>alert(2)</script><image href="https://elsewhere.example/x.png"/>'
    b'<foreignObject><body xmlns="http://www.w3.org/1999/xhtml"><img src="x" onerror="alert(3)"/>'
    b'</body></foreignObject><rect width="80" height="80" fill="#2a7"/></svg>'
)
