"""
Subjects that are made and sold: devices and things to wear.
"""

from imagesession._offline.painter import path
from imagesession._offline.painter.drawing import Pen, across, down
from imagesession._offline.painter.subjects.table import Tone, subject


@subject("headphones", "headphone,headset,kopfhörer,auriculares,casque,🎧", colour="#3c4250",
         accent="#e2a04a", size=1.15)  # fmt: skip
def _headphones(pen: Pen, t: Tone) -> None:
    pen.arc(50, 50, 35, 172, 368, ink=t.main, width=7.5)
    pen.arc(50, 50, 32.6, 196, 344, ink=t.light, width=2.6, alpha=0.8)
    for x, flip in ((17, False), (83, True)):
        with pen.placed(x, 66, flip=flip):
            pen.rect(-3, -22, 6, 20, t.accent, radius=3)
            pen.rect(-2, -20, 17, 42, "#20242e", radius=8)
            pen.rect(-11, -22, 18, 46, across(-11, 18, t.light, t.main, t.dark), radius=9)
            with pen.role("detail"):
                pen.rect(-8, -15, 3, 30, "#ffffff", radius=1.5, alpha=0.28)
            pen.circle(-1, 1, 4, t.accent)


@subject("earbuds", "earbud,earphones,airpods,in-ear,ohrhörer,écouteurs", colour="#f1f2f4",
         accent="#3fa7a0", size=0.9)  # fmt: skip
def _earbuds(pen: Pen, t: Tone) -> None:
    pen.rect(18, 58, 64, 34, down(58, 34, t.main, t.dark), radius=14)
    pen.path("M18 72 L18 62 C18 54 24 52 30 52 L70 52 C76 52 82 54 82 62 L82 72 Z", t.light)
    pen.ellipse(50, 58, 25, 4.4, "#2b303b")
    pen.circle(50, 80, 2, t.accent)
    for x, flip in ((34, False), (66, True)):
        with pen.placed(x, 30, flip=flip, turn=-8 if flip else 8):
            pen.rect(-1, 2, 9, 30, across(-1, 9, t.light, t.main, t.dark), radius=4.5)
            pen.ellipse(0, -4, 14, 13, t.main)
            pen.ellipse(-10, -3, 6, 8, "#4a505d")
            pen.ellipse(4, -9, 5, 3, "#ffffff", alpha=0.9)
            pen.circle(4, 1, 2, t.accent)


@subject("speaker", "speakers,loudspeaker,smart speaker,subwoofer,lautsprecher,altavoz,🔊",
         colour="#46505f", accent="#f09a4a", size=0.95)  # fmt: skip
def _speaker(pen: Pen, t: Tone) -> None:
    pen.rect(24, 8, 52, 84, across(24, 52, t.light, t.main, t.dark), radius=9)
    for y, r in ((29, 10), (63, 19)):
        pen.circle(50, y, r, t.ink)
        pen.ring(50, y, r, t.accent, 1.8)
        pen.circle(50, y, r * 0.72, t.dark)
        pen.circle(50, y, r * 0.3, t.accent)
        with pen.role("detail"):
            pen.arc(50, y, r * 0.56, 200, 270, ink="#ffffff", width=1.4, alpha=0.5)
    pen.circle(50, 14.5, 1.8, t.accent)


@subject("camera", "cameras,photography,photographer,kamera,cámara,appareil photo,📷,📸",
         colour="#3e4654", accent="#e0574a", size=0.95)  # fmt: skip
def _camera(pen: Pen, t: Tone) -> None:
    pen.path("M34 30 L39 18 L61 18 L66 30 Z", t.dark)
    pen.rect(16, 22, 12, 8, t.accent, radius=2)
    pen.rect(6, 28, 88, 58, t.main, radius=9)
    pen.rect(6, 40, 88, 32, t.light)
    pen.circle(50, 57, 25, t.ink)
    pen.circle(50, 57, 21, "#e8ebef")
    pen.circle(50, 57, 18, t.ink)
    pen.circle(50, 57, 13, down(44, 26, "#5fb2d6", "#2a3f7a"))
    with pen.role("detail"):
        pen.circle(45, 51, 4.2, "#ffffff", alpha=0.8)
        pen.circle(56, 63, 2, "#ffffff", alpha=0.5)
    pen.rect(76, 32.5, 12, 5, "#ffe9a8", radius=2)
    pen.circle(14, 34.5, 2.2, t.accent)


@subject("phone", "smartphone,phones,iphone,mobile,mobile app,handy,teléfono,téléphone,📱",
         colour="#2d3340", accent="#f2784b", size=1.05)  # fmt: skip
def _phone(pen: Pen, t: Tone) -> None:
    pen.rect(27, 6, 46, 87, t.main, radius=8)
    pen.rect(30, 9.5, 40, 80, down(9, 80, "#8ed0e6", "#6e8fe0"), radius=5.5)
    pen.rect(43, 11.6, 14, 3.4, t.main, radius=1.7)
    pen.rect(34, 20, 32, 26, "#ffffff", radius=4)
    pen.circle(43, 33, 7, t.accent)
    with pen.role("detail"):
        pen.rect(53, 28, 10, 2.4, "#c4ccd8", radius=1.2)
        pen.rect(53, 33, 8, 2.4, "#dbe0e8", radius=1.2)
        for i in range(4):
            for j in range(2):
                pen.rect(34 + i * 8.4, 52 + j * 9, 6.6, 6.6, "#ffffff", radius=2, alpha=0.85)
    pen.rect(34, 74, 32, 9, t.accent, radius=4.5)


@subject("tablet", "tablets,ipad,e-reader,screen,monitor,tv,television,fernseher,pantalla,📺,🖥",
         colour="#2d3340", accent="#35b0a0", size=1.1)  # fmt: skip
def _screen(pen: Pen, t: Tone) -> None:
    pen.path("M42 72 L58 72 L62 90 L38 90 Z", "#9ca5b1")
    pen.rect(30, 88, 40, 4, "#b9c1cb", radius=2)
    pen.rect(4, 16, 92, 60, t.main, radius=4)
    pen.rect(7, 19, 86, 51, down(19, 51, "#f6d7a8", "#ea8f73"))
    pen.circle(66, 36, 8, "#fff3cf")
    pen.polygon((7, 70), (34, 36), (60, 70), ink=t.accent)
    pen.polygon((40, 70), (66, 48), (93, 70), ink=t.dark)


@subject("laptop", "laptops,computer,notebook computer,macbook,pc,coding,programming,developer,"
         "portátil,ordinateur,💻", colour="#aab3bf", accent="#f08a5d", size=1.15)  # fmt: skip
def _laptop(pen: Pen, t: Tone) -> None:
    pen.rect(15, 24, 70, 50, "#272c38", radius=4)
    pen.rect(18, 27, 64, 43, down(27, 43, "#3c5a99", "#54b4c4"))
    with pen.role("detail"):
        for i, (x, w) in enumerate(((23, 20), (27, 30), (27, 24), (31, 18), (27, 28), (23, 12))):
            ink = ("#ffffff", "#ffd479", "#9be7d0")[i % 3]
            pen.rect(x, 32 + i * 5.6, w, 2.4, ink, radius=1.2, alpha=0.9)
    pen.circle(71, 58, 6, t.accent)
    pen.path("M15 74 L85 74 L97 87 L3 87 Z", t.main)
    pen.path("M3 87 L97 87 C97 90 95 91.5 92 91.5 L8 91.5 C5 91.5 3 90 3 87 Z", t.dark)
    with pen.role("detail"):
        pen.path("M20 76 L80 76 L85 82 L15 82 Z", t.ink, alpha=0.55)
        pen.path("M42 83 L58 83 L59 86 L41 86 Z", t.light)


@subject("watch", "watches,smartwatch,wristwatch,armbanduhr,reloj de pulsera,montre,⌚",
         colour="#8a5a3b", accent="#d9b25f", size=0.95)  # fmt: skip
def _watch(pen: Pen, t: Tone) -> None:
    pen.path("M38 4 L62 4 L66 32 L34 32 Z", down(4, 28, t.dark, t.main))
    pen.path("M34 66 L66 66 L62 95 L38 95 Z", down(66, 29, t.main, t.dark))
    pen.rect(76, 46, 5, 7, t.accent, radius=1.5)
    pen.circle(50, 49.5, 28, t.accent)
    pen.circle(50, 49.5, 24.5, "#fdfaf2")
    with pen.role("detail"):
        for i in range(12):
            with pen.placed(50, 49.5, turn=i * 30):
                pen.rect(-0.7, -22, 1.4, 3.4, "#3b3f4a", radius=0.6)
        for x in (44, 56):
            pen.line((x, 6), (x + (x - 50) * 0.25, 22), ink="#fff1d8", width=0.8, alpha=0.6)
    pen.line((50, 49.5), (50, 34), ink="#2b2e38", width=2.4)
    pen.line((50, 49.5), (60, 55), ink="#2b2e38", width=2.4)
    pen.circle(50, 49.5, 2.2, "#d4543f")


@subject("shoe", "shoes,sneaker,sneakers,trainers,boot,boots,schuh,zapato,zapatilla,chaussure,👟,"
                 "👠",
         colour="#e8604a", accent="#2f4b6e", size=1.05)  # fmt: skip
def _shoe(pen: Pen, t: Tone) -> None:
    pen.path("M8 76 C8 60 10 48 14 40 C22 48 34 46 40 36 C50 46 58 58 74 62 C88 64 96 70 96 80 "
             "L8 82 Z", t.main)  # fmt: skip
    pen.path("M74 62 C88 64 96 70 96 80 L76 80.4 C70 74 70 66 74 62 Z", t.light)
    pen.path("M8 76 C8 60 10 48 14 40 C17 43 21 44.6 25 44.8 C24 56 26 68 30 81.4 L8 82 Z", t.dark)
    pen.path("M30 70 C42 74 56 70 64 60 C70 66 50 82 32 78 Z", t.accent)
    with pen.role("detail"):
        for i in range(4):
            x, y = 44 + i * 6, 43 + i * 5.4
            pen.line((x - 6, y + 5), (x + 2, y - 1), ink="#ffffff", width=2.4)
    pen.path("M5 80 L97 78 C99 86 96 92 90 92 L12 92 C7 92 4 88 5 80 Z", "#fdfbf5")
    pen.path("M5 86 L97.6 86 C96.6 90 94 92 90 92 L12 92 C8 92 5.4 90 5 86 Z", "#d9d4c8")


@subject("shirt", "t-shirt,tshirt,tee,hoodie,jacket,dress,clothes,clothing,fashion,hemd,camiseta,"
                  "👕",
         colour="#5c8fb8", accent="#f3c34f", size=1.0)  # fmt: skip
def _shirt(pen: Pen, t: Tone) -> None:
    pen.path("M34 12 C40 20 60 20 66 12 L84 20 L98 42 L84 52 L76 42 L76 92 L24 92 L24 42 L16 52 "
             "L2 42 L16 20 Z", t.main)  # fmt: skip
    pen.path("M34 12 C40 20 60 20 66 12 L70 14 C62 27 38 27 30 14 Z", t.dark)
    with pen.role("detail"):
        pen.path("M76 42 L76 92 L62 92 C70 76 72 58 70 30 Z", t.dark, alpha=0.35)
        pen.line((24, 44), (27, 34), ink=t.dark, width=1.4)
        pen.line((76, 44), (73, 34), ink=t.dark, width=1.4)
    pen.circle(50, 50, 11, t.accent)


@subject("glasses", "sunglasses,spectacles,eyewear,brille,gafas,lunettes,👓,🕶", colour="#2f3440",
         accent="#f0a04b", size=0.95)  # fmt: skip
def _glasses(pen: Pen, t: Tone) -> None:
    pen.trace("M10 44 C4 40 2 34 6 28", t.dark, 4)
    pen.trace("M90 44 C96 40 98 34 94 28", t.dark, 4)
    for x in (28, 72):
        lens = path.rectangle(x - 20, 40, 40, 32, 14)
        pen.shape([lens], down(40, 32, t.accent, t.light), stroke=t.main, width=5)
        with pen.role("detail"):
            pen.line((x - 8, 62), (x + 4, 48), ink="#ffffff", width=2.4, alpha=0.6)
    pen.trace("M46 52 Q50 46 54 52", t.main, 4.6)


@subject("bag", "backpack,handbag,purse,suitcase,luggage,rucksack,tasche,bolso,sac,🎒,👜,🧳",
         colour="#c9743f", accent="#f2dcae", size=1.0)  # fmt: skip
def _bag(pen: Pen, t: Tone) -> None:
    pen.trace("M36 32 C36 10 64 10 64 32", t.dark, 5)
    pen.path("M20 34 C20 28 24 26 30 26 L70 26 C76 26 80 28 80 34 L86 84 C86 90 82 92 78 92 L22 92 "
             "C18 92 14 90 14 84 Z", down(26, 66, t.light, t.main))  # fmt: skip
    pen.path("M18.6 46 L81.4 46 C80 60 66 64 50 64 C34 64 20 60 18.6 46 Z", t.dark)
    pen.rect(44, 57, 12, 12, t.accent, radius=2.5)
    with pen.role("detail"):
        pen.rect(48, 61, 4, 4, t.dark, radius=1)


@subject("key", "keys,lock,padlock,security,privacy,schlüssel,llave,clé,🔑,🔒", colour="#e8b04a",
         accent="#4a5a75", place="plain", size=0.9)  # fmt: skip
def _lock(pen: Pen, t: Tone) -> None:
    pen.trace("M30 46 L30 32 C30 6 70 6 70 32 L70 46", t.accent, 9)
    pen.rect(18, 44, 64, 48, down(44, 48, t.light, t.main), radius=9)
    pen.circle(50, 63, 7, t.ink)
    pen.path("M47 64 L53 64 L55.5 80 L44.5 80 Z", t.ink)


@subject("game", "gaming,controller,gamepad,joystick,videogame,video game,console,🎮",
         colour="#5a5fc7", accent="#f25f7a", place="room", size=1.0)  # fmt: skip
def _gamepad(pen: Pen, t: Tone) -> None:
    pen.path("M26 34 C36 32 40 38 50 38 C60 38 64 32 74 34 C90 36 96 58 98 74 C99 86 88 90 80 80 "
             "L70 68 L30 68 L20 80 C12 90 1 86 2 74 C4 58 10 36 26 34 Z", t.main)  # fmt: skip
    pen.rect(24, 42, 6, 20, t.ink, radius=1.5)
    pen.rect(17, 49, 20, 6, t.ink, radius=1.5)
    for x, y, ink in ((74, 44, "#7fe0a8"), (74, 60, "#6fc3f0"), (66, 52, "#ffd166"),
                      (82, 52, t.accent)):  # fmt: skip
        pen.circle(x, y, 4.4, ink)
    pen.circle(42, 62, 7, t.dark)
    pen.circle(58, 62, 7, t.dark)
