"""
Subjects that travel, and where they travel to.
"""

from imagesession._offline.painter import path
from imagesession._offline.painter.drawing import Linear, Pen, down, vanish
from imagesession._offline.painter.subjects.table import Tone, subject

_TYRE, _RIM, _GLASS = "#2b2e38", "#d7dce2", "#bfe3ee"


def _wheel(pen: Pen, x: float, y: float, r: float) -> None:
    pen.circle(x, y, r, _TYRE)
    pen.circle(x, y, r * 0.56, _RIM)
    pen.circle(x, y, r * 0.2, _TYRE)


@subject("bicycle", "bike,bikes,bicycles,cycling,cyclist,fahrrad,bicicleta,vélo,bicicletta,🚲,🚴",
         colour="#2f8f8a", accent="#8a5a3b", place="road", size=1.25)  # fmt: skip
def _bicycle(pen: Pen, t: Tone) -> None:
    for x in (24, 77):
        with pen.role("detail"):
            for i in range(8):
                with pen.placed(x, 72, turn=i * 22.5 + 8):
                    pen.line((-18, 0), (18, 0), ink="#aab2bc", width=0.55)
        pen.ring(x, 72, 19, _TYRE, 3.4)
        with pen.role("detail"):
            pen.ring(x, 72, 16.6, "#c3cad2", 0.9)
        pen.circle(x, 72, 2.4, _TYRE)
    for a, b, w in (((24, 72), (40, 45), 2.6), ((24, 72), (47, 72), 2.6), ((47, 72), (38, 40), 3.6),
                    ((40, 45), (67, 43), 3.6), ((47, 72), (68, 47), 3.6)):  # fmt: skip
        pen.line(a, b, ink=t.main, width=w)
    pen.trace("M65 34 L68 47 C70 56 73 64 77 72", t.main, 3.4)
    pen.trace("M65 35 C64 30 68 29 72 30 C77 31 79 34 76 37", "#3a3d47", 2.8)
    pen.line((38, 40), (36.6, 35.5), ink="#8d949c", width=2.4)
    pen.path("M26 33 C32 31 42 31 47 34 C43 37 34 38 27 36.6 Z", t.accent)
    pen.ring(47, 72, 5, "#5a606b", 1.8)
    pen.line((47, 72), (51, 80), ink="#5a606b", width=1.8)
    pen.rect(48, 79.4, 7, 2, _TYRE, radius=1)
    with pen.role("detail"):
        pen.arc(24, 72, 21.6, 200, 300, ink=t.dark, width=1.7)
        pen.arc(77, 72, 21.6, 220, 330, ink=t.dark, width=1.7)


@subject("motorcycle", "motorbike,scooter,moped,vespa,motorrad,motocicleta,🛵,🏍", colour="#3aa09a",
         accent="#7a4a33", place="road", size=1.15)  # fmt: skip
def _scooter(pen: Pen, t: Tone) -> None:
    _wheel(pen, 24, 80, 12)
    _wheel(pen, 78, 80, 12)
    pen.trace("M66 28 L75 62 L78 80", "#9aa3ad", 4)
    pen.path("M10 74 C10 58 18 52 32 52 L48 52 C52 60 52 66 56 70 L66 70 L63 40 L70 38 "
             "C74 52 76 62 70 78 L40 80 C38 68 14 66 10 74 Z", t.main)  # fmt: skip
    pen.path("M18 46 L46 46 C50 46 50 52 46 52 L22 53 C16 53 14 48 18 46 Z", t.accent)
    pen.trace("M58 28 L68 26 L70 22", _TYRE, 3.4)
    pen.circle(69, 34, 5, "#fff0b3")


@subject(
    "car",
    "cars,automobile,auto,coche,voiture,vehicle,taxi,macchina,suv,🚗,🚙,🏎",
    place="road",
    colour="#e0563f",
    accent="#ffe08a",
    size=1.3,
)
def _car(pen: Pen, t: Tone) -> None:
    pen.path("M24 60 C30 46 36 40 48 40 L60 40 C70 40 76 48 82 60 Z", t.dark)
    pen.path("M30 59 C34 49 39 44.5 48 44.5 L51 44.5 L51 59 Z", _GLASS)
    pen.path("M55 44.5 L60 44.5 C67 44.5 72 51 76 59 L55 59 Z", _GLASS)
    pen.path("M4 74 C4 62 10 58 24 58 L80 58 C92 60 97 64 97 74 C97 80 95 82 90 82 L10 82 "
             "C6 82 4 80 4 74 Z", down(58, 24, t.light, t.main))  # fmt: skip
    with pen.role("detail"):
        pen.line((53, 60), (53, 80), ink=t.dark, width=1)
        pen.rect(57, 64, 7, 1.8, t.dark, radius=0.9)
        pen.rect(4.5, 74, 92, 2.4, t.dark, alpha=0.45)
    pen.ellipse(93.4, 68, 3, 3.4, t.accent)
    pen.rect(4, 65, 4, 5, "#c22f2f", radius=1.5)
    _wheel(pen, 25, 81, 11)
    _wheel(pen, 77, 81, 11)


@subject("bus", "buses,van,truck,lorry,autobus,camper,camión,lastwagen,🚌,🚚", place="road",
         colour="#f0b23a", accent="#e2553f", size=1.25)  # fmt: skip
def _bus(pen: Pen, t: Tone) -> None:
    pen.rect(4, 30, 92, 53, t.main, radius=8)
    pen.rect(4, 62, 92, 6, t.accent)
    for x in (10, 27, 44, 61):
        pen.rect(x, 38, 14, 17, _GLASS, radius=2.5)
    pen.rect(79, 38, 14, 36, "#d8eef4", radius=2.5)
    with pen.role("detail"):
        pen.line((86, 38), (86, 74), ink=t.dark, width=1.2)
        pen.rect(4, 76, 92, 7, t.dark, radius=3, alpha=0.5)
    _wheel(pen, 24, 83, 9.5)
    _wheel(pen, 68, 83, 9.5)


@subject("train", "trains,locomotive,railway,tram,zug,tren,subway,metro,🚂,🚆", place="road",
         colour="#c6413a", accent="#f3c75a", size=1.4)  # fmt: skip
def _train(pen: Pen, t: Tone) -> None:
    for x, y, r in ((72, 24, 6), (62, 15, 8), (48, 10, 9)):
        pen.circle(x, y, r, "#e4e6ea", alpha=0.85)
    pen.rect(0, 91, 100, 2, "#6c717c")
    pen.rect(4, 34, 36, 46, t.main, radius=3)
    pen.rect(1, 29, 42, 7, t.dark, radius=3)
    pen.rect(10, 41, 24, 17, _GLASS, radius=2)
    pen.rect(36, 48, 48, 30, down(48, 30, t.light, t.dark), radius=9)
    pen.path("M70 50 L68 32 L80 32 L78 50 Z", t.ink)
    pen.rect(66, 29, 16, 5, t.accent, radius=2)
    pen.path("M54 49 C54 42 64 42 64 49 Z", t.accent)
    pen.rect(4, 77, 88, 6, t.ink, radius=2)
    pen.polygon((84, 76), (98, 90), (84, 90), ink=t.accent)
    for x, r in ((16, 9), (38, 9), (58, 7), (76, 7)):
        pen.circle(x, 91 - r, r, _TYRE)
        pen.circle(x, 91 - r, r * 0.62, t.accent)
        pen.circle(x, 91 - r, r * 0.25, _TYRE)
    pen.circle(84, 60, 4, "#fff3c4")


@subject("boat", "boats,sailboat,sailing,yacht,segelboot,barco,velero,bateau,canoe,kayak,⛵",
         colour="#d9573f", accent="#f3f0e6", place="water", size=0.85)  # fmt: skip
def _boat(pen: Pen, t: Tone) -> None:
    pen.line((50, 8), (50, 72), ink="#6b4a35", width=2.6)
    pen.path("M53 10 C72 26 80 46 82 66 L53 66 Z", t.accent)
    pen.path("M47 20 C34 36 24 52 20 66 L47 66 Z", t.light)
    with pen.role("detail"):
        pen.path("M53 10 C66 26 70 46 70 66 L53 66 Z", "#ffffff", alpha=0.55)
    pen.path("M8 71 L92 71 C88 82 80 90 70 90 L30 90 C20 90 12 82 8 71 Z", t.main)
    with pen.role("detail"):
        pen.path("M11 77 L89 77 C88.4 78.6 87.6 80 86.8 81 L13.2 81 C12.4 80 11.6 78.6 11 77 Z",
                 t.pale)  # fmt: skip


@subject("ship", "ships,cruise,ferry,schiff,buque,navire,steamer,tanker,🚢,🛳", colour="#34506e",
         accent="#e4573d", place="water", size=1.2)  # fmt: skip
def _ship(pen: Pen, t: Tone) -> None:
    for x in (40, 56):
        pen.rect(x, 22, 10, 20, t.accent)
        pen.rect(x, 22, 10, 5, t.ink)
    pen.rect(26, 40, 52, 13, "#fbfaf5", radius=2)
    pen.rect(18, 52, 66, 16, "#eef0ee", radius=2)
    with pen.role("detail"):
        for x in range(24, 80, 8):
            pen.circle(x, 60, 2.2, "#6aa7c4")
        for x in range(31, 74, 8):
            pen.rect(x, 44, 4.5, 4, "#6aa7c4", radius=1)
    pen.path("M2 66 L98 66 C94 80 88 90 82 90 L18 90 C10 90 5 80 2 66 Z", t.main)
    pen.path("M7 82 L92.4 82 C89 88 85 90 82 90 L18 90 C13 90 9.4 87 7 82 Z", t.accent)


@subject("plane", "airplane,aeroplane,jet,aircraft,flugzeug,avión,avion,flight,✈,🛩",
         colour="#eef2f6", accent="#3d7fd0", place="air", size=0.9)  # fmt: skip
def _plane(pen: Pen, t: Tone) -> None:
    with pen.placed(50, 52, turn=-14):
        pen.path("M-42 -4 L-50 -26 L-38 -26 L-24 -6 Z", t.accent)
        pen.path("M-4 -8 L-14 -30 L-6 -30 L18 -7 Z", t.dark)
        pen.path("M-46 0 C-44 -8 -30 -10 -16 -10 L30 -10 C42 -9 50 -3 50 2 C50 7 42 10 28 10 "
                 "L-20 10 C-34 9 -45 6 -46 0 Z", t.main)  # fmt: skip
        pen.path("M-44 3 C-30 6 30 7 49 3 C48 7 40 10 28 10 L-20 10 C-34 9 -43 7 -44 3 Z", t.accent)
        pen.path("M34 -8 C41 -7 45 -4 46 -1 L34 -1 Z", "#5c86a8")
        with pen.role("detail"):
            for x in range(-24, 30, 7):
                pen.rect(x, -4.5, 3.6, 4, "#6f98b8", radius=1.4)
        pen.path("M14 4 L-26 34 L-15 34 L30 4 Z", t.dark)
        pen.path("M-34 0 L-50 12 L-43 12 L-22 1 Z", t.dark)


@subject("balloon", "hot air balloon,balloons,ballon,globo,montgolfière,🎈", colour="#e8584f",
         accent="#f9d05e", place="air", size=0.95)  # fmt: skip
def _balloon(pen: Pen, t: Tone) -> None:
    pen.line((38, 66), (43, 80), ink="#6b4a35", width=1)
    pen.line((62, 66), (57, 80), ink="#6b4a35", width=1)
    pen.path("M50 4 C74 4 86 20 86 36 C86 54 66 64 60 70 L40 70 C34 64 14 54 14 36 "
             "C14 20 26 4 50 4 Z", t.main)  # fmt: skip
    pen.path("M50 4 C64 8 72 22 72 36 C72 54 60 64 56 70 L44 70 C40 64 28 54 28 36 "
             "C28 22 36 8 50 4 Z", t.accent)  # fmt: skip
    pen.path("M50 4 C55 8 58 22 58 36 C58 54 54 64 53 70 L47 70 C46 64 42 54 42 36 "
             "C42 22 45 8 50 4 Z", t.light)  # fmt: skip
    pen.rect(41, 79, 18, 12, "#9a6b42", radius=2.5)


@subject("rocket", "rockets,spaceship,spacecraft,space shuttle,startup,launch,rakete,cohete,"
                   "fusée,🚀",
         colour="#eef1f6", accent="#ea5545", place="space", size=1.05)  # fmt: skip
def _rocket(pen: Pen, t: Tone) -> None:
    with pen.placed(50, 50, turn=32):
        pen.path("M-8 28 C-12 40 -4 46 0 56 C4 46 12 40 8 28 Z", "#ff9a3c")
        pen.path("M-4.5 28 C-6 36 -2 40 0 46 C2 40 6 36 4.5 28 Z", "#ffe27a")
        pen.path("M-14 4 C-26 12 -26 24 -24 32 L-10 24 Z", t.accent)
        pen.path("M14 4 C26 12 26 24 24 32 L10 24 Z", t.accent)
        pen.path("M0 -48 C16 -36 18 -8 12 28 L-12 28 C-18 -8 -16 -36 0 -48 Z", t.main)
        with pen.role("detail"):
            pen.path("M0 -48 C16 -36 18 -8 12 28 L2 28 C10 -8 10 -32 0 -48 Z", t.dark, alpha=0.35)
        pen.path("M0 -48 C6 -43.5 10 -37 12.4 -29 L-12.4 -29 C-10 -37 -6 -43.5 0 -48 Z", t.accent)
        pen.circle(0, -12, 7.6, t.dark)
        pen.circle(0, -12, 5.6, "#7cc6e8")
        pen.rect(-9, 24, 18, 5, t.dark, radius=1.5)


@subject("house", "houses,cottage,cabin,haus,casa,maison,home,villa,barn,🏠,🏡", colour="#f0e1c8",
         accent="#c9523f", place="meadow", size=1.25)  # fmt: skip
def _house(pen: Pen, t: Tone) -> None:
    pen.rect(66, 20, 9, 22, "#8c5b48")
    pen.rect(18, 46, 64, 46, t.main)
    with pen.role("detail"):
        pen.rect(18, 46, 64, 7, t.dark, alpha=0.3)
    pen.polygon((8, 50), (50, 14), (92, 50), (84, 55), (50, 27), (16, 55), ink=t.accent)
    pen.polygon((18, 50), (50, 24), (82, 50), ink=t.main)
    pen.rect(42, 64, 16, 28, t.accent, radius=2)
    pen.circle(54.5, 79, 1.4, "#f8d77b")
    for x in (24, 63):
        pen.rect(x, 62, 13, 14, "#8fc7dd", radius=1.5)
        with pen.role("detail"):
            pen.line((x + 6.5, 62), (x + 6.5, 76), ink="#ffffff", width=1.5)
            pen.line((x, 69), (x + 13, 69), ink="#ffffff", width=1.5)
    pen.circle(50, 44, 5.5, "#8fc7dd")


@subject("city", "skyline,cityscape,skyscraper,skyscrapers,buildings,building,downtown,street,town,"
         "stadt,ciudad,ville,architecture,urban,🏙,🌆,🌃", colour="#5a6f94", accent="#ffd97a",
         place="land")  # fmt: skip
def _city(pen: Pen, t: Tone) -> None:
    towers = (
        (4, 50, 18, t.light),
        (20, 30, 20, t.main),
        (62, 36, 18, t.main),
        (38, 12, 24, t.dark),
        (78, 54, 18, t.light),
    )
    pen.line((50, 12), (50, 4), ink=t.dark, width=2)
    for x, top, w, ink in towers:
        pen.rect(x, top, w, 92 - top, ink)
        windows = [path.rectangle(x + 4 + c * 6, y, 3, 4) for c in range(int((w - 5) // 6) + 1)
                   for y in range(top + 6, 86, 9) if (c * 5 + y * 3 + x) % 4]  # fmt: skip
        pen.shape(windows, t.accent, alpha=0.9)


@subject(
    "castle",
    "castles,palace,fortress,tower,schloss,burg,castillo,château,temple,🏰",
    place="meadow",
    colour="#c9bfd8",
    accent="#a2496a",
    size=1.4,
)
def _castle(pen: Pen, t: Tone) -> None:
    for x, top in ((10, 38), (76, 38), (43, 20)):
        pen.rect(x, top, 14, 92 - top, t.light)
        pen.polygon((x - 3, top), (x + 7, top - 20), (x + 17, top), ink=t.accent)
    pen.rect(16, 58, 68, 34, t.main)
    pen.shape([path.rectangle(x, 52, 6, 8) for x in range(18, 82, 10)], t.main)
    pen.path("M42 92 L42 78 C42 68 58 68 58 78 L58 92 Z", t.ink)
    for x, y in ((17, 48), (83, 48), (50, 34), (30, 70), (70, 70)):
        pen.rect(x - 2, y, 4, 8, t.ink, radius=2)


@subject("lighthouse", "leuchtturm,faro,phare", colour="#e2523f", accent="#ffe48a", place="meadow",
         size=1.4)  # fmt: skip
def _lighthouse(pen: Pen, t: Tone) -> None:
    with pen.role("glow"):
        pen.polygon((50, 20), (0, 6), (0, 34), ink=Linear((50, 20), (0, 20), vanish(t.accent, 0.8)))
        pen.polygon(
            (50, 20), (100, 6), (100, 34), ink=Linear((50, 20), (100, 20), vanish(t.accent, 0.8))
        )
    pen.polygon((38, 30), (62, 30), (68, 92), (32, 92), ink="#fbf8f0")
    for y in (40, 60, 80):
        a, b = 38 - (y - 30) * 6 / 62, 38 - (y - 20) * 6 / 62
        pen.polygon((a, y), (100 - a, y), (100 - b, y + 10), (b, y + 10), ink=t.main)
    pen.rect(40, 13, 20, 15, t.accent)
    pen.rect(34, 27, 32, 4, t.ink, radius=1)
    pen.path("M38 13 C42 4 58 4 62 13 Z", t.main)


@subject(
    "bridge",
    "bridges,brücke,puente,pont,🌉",
    colour="#c8513c",
    accent="#e8a13d",
    place="water",
    size=1.6,
)
def _bridge(pen: Pen, t: Tone) -> None:
    for x in (22, 74):
        pen.rect(x, 22, 5, 70, t.main)
    pen.trace("M0 56 C8 46 18 34 24 24 C34 62 66 62 76 24 C82 34 92 46 100 56", t.main, 2)
    with pen.role("detail"):
        for x, y in ((32, 44), (40, 50), (50, 53), (60, 50), (68, 44), (12, 44), (88, 44)):
            pen.line((x, y), (x, 66), ink=t.dark, width=0.9)
    pen.rect(0, 64, 100, 5, t.dark)
