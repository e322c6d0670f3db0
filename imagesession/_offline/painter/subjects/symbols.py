"""
Subjects that are signs: what interfaces and marks are made of.
"""

import math

from imagesession._offline.painter import path
from imagesession._offline.painter.colour import luminance, rgb
from imagesession._offline.painter.drawing import Pen, down
from imagesession._offline.painter.path import Point
from imagesession._offline.painter.subjects.table import Tone, subject


@subject("shopping cart", "cart,trolley,checkout,basket,"
         "supermarket,einkaufswagen,carrito,panier,chariot,🛒", colour="#2f9e8f", accent="#f2994a",
         place="plain")  # fmt: skip
def _cart(pen: Pen, t: Tone) -> None:
    pen.trace("M6 18 L19 18 C22 18 23 20 24 23 L37 66 C38 69 40 71 43 71 L84 71", t.dark, 5.6)
    pen.path("M26.5 30 L94 30 C96.6 30 97.6 32 97 34.4 L89 58 C88 60.8 86 62 83 62 L36.4 62 Z",
             t.main)  # fmt: skip
    with pen.role("detail"):
        for x in (44, 56, 68, 80):
            pen.line((x, 36), (x - (x - 62) * 0.1, 56), ink=t.pale, width=2.4, alpha=0.85)
        pen.line((32, 46), (91, 46), ink=t.pale, width=2.4, alpha=0.85)
    for x in (46, 80):
        pen.circle(x, 83, 8, t.accent)
        pen.circle(x, 83, 3, t.paper)


@subject("heart", "hearts,love,valentine,favorite,herz,corazón,cœur,coeur,❤,💙,💖,💛",
         colour="#e8485c", accent="#ffc2c7", place="plain")  # fmt: skip
def _heart(pen: Pen, t: Tone) -> None:
    pen.path("M50 90 C20 68 6 52 6 34 C6 20 17 10 29 10 C38 10 46 15 50 24 C54 15 62 10 71 10 "
             "C83 10 94 20 94 34 C94 52 80 68 50 90 Z", t.main)  # fmt: skip
    with pen.role("detail"):
        pen.path("M71 10 C83 10 94 20 94 34 C94 52 80 68 50 90 C46 87 42 84 39 81.6 "
                 "C66 66 82 44 71 10 Z", t.dark, alpha=0.35)  # fmt: skip
    pen.path("M16 36 C16 26 22 20 30 19 C25 25 23 31 23 39 C22 44 16 42 16 36 Z", t.accent)


@subject("star", "rating,award,estrella,stern,étoile,⭐,🌟", colour="#f7bd2f", accent="#fff0c0",
         place="plain")  # fmt: skip
def _star(pen: Pen, t: Tone) -> None:
    pen.shape([path.star(50, 53, 46, 20)], t.main, stroke=t.main, width=6)
    with pen.role("detail"):
        for i in range(5):
            a = math.radians(72 * i - 90)
            b = a + math.radians(36)
            pen.polygon((50, 53), (50 + 47 * math.cos(a), 53 + 47 * math.sin(a)),
                        (50 + 20 * math.cos(b), 53 + 20 * math.sin(b)), ink=t.dark,
                        alpha=0.26)  # fmt: skip
    pen.circle(50, 53, 7, t.accent)


@subject("home icon", "homepage,real estate,immobilien", colour="#3f76d6", accent="#f7b955",
         place="plain")  # fmt: skip
def _home(pen: Pen, t: Tone) -> None:
    pen.path("M50 10 L94 48 L84 48 L84 84 C84 89 82 92 77 92 L23 92 C18 92 16 89 16 84 L16 48 L6 "
             "48 "
             "Z", t.main)  # fmt: skip
    pen.rect(40, 58, 20, 34, t.accent, radius=4)
    with pen.role("detail"):
        pen.path("M50 10 L94 48 L84 48 L50 19 L16 48 L6 48 Z", t.dark)


@subject(
    "profile",
    "user,avatar,account,profile icon,contact,login,benutzer,usuario",
    place="plain",
    colour="#5b74d8",
    accent="#ffd3b0",
)
def _profile(pen: Pen, t: Tone) -> None:
    pen.circle(50, 50, 44, t.light)
    pen.path("M18 80 C20 62 34 58 50 58 C66 58 80 62 82 80 C74 89 63 94 50 94 C37 94 26 89 18 80 Z",
             t.main)  # fmt: skip
    # A coloured face would be a mask: as a sign it is as pale as the rest.
    pen.circle(50, 38, 18, t.accent if luminance(t.main) < 200 else t.main)
    with pen.role("detail"):
        pen.path("M32 38 C30 18 44 17 52 18 C66 19 70 28 68 38 C64 30 56 31 50 27 "
                 "C44 32 36 30 32 38 Z", t.ink)  # fmt: skip


@subject("bell", "notification,notifications,alert,alarm,reminder,glocke,campana,cloche,🔔",
         colour="#f4b63a", accent="#e4574b", place="plain")  # fmt: skip
def _bell(pen: Pen, t: Tone) -> None:
    pen.circle(50, 83, 9, t.dark)
    pen.circle(50, 13, 6, t.dark)
    pen.path("M50 14 C68 14 76 28 76 46 C76 62 80 68 88 76 L12 76 C20 68 24 62 24 46 "
             "C24 28 32 14 50 14 Z", t.main)  # fmt: skip
    with pen.role("detail"):
        pen.path("M50 14 C68 14 76 28 76 46 C76 62 80 68 88 76 L66 76 C64 60 66 30 50 14 Z", t.dark,
                 alpha=0.35)  # fmt: skip
        pen.path("M32 46 C32 34 36 26 42 23 C39 32 39 40 38 52 Z", t.pale, alpha=0.8)
    pen.rect(9, 72, 82, 7, t.dark, radius=3.5)
    pen.circle(75, 25, 11, t.accent)


@subject("gear", "settings,cog,gears,mechanical,engineering,configuration,zahnrad,engranaje,⚙",
         colour="#64748b", accent="#f2a541", place="plain")  # fmt: skip
def _gear(pen: Pen, t: Tone) -> None:
    points: list[Point] = []
    for i in range(10):
        for offset, r in ((-12, 35), (-8.4, 45), (8.4, 45), (12, 35)):
            angle = math.radians(i * 36 + offset - 90)
            points.append((50 + r * math.cos(angle), 50 + r * math.sin(angle)))
    pen.shape([tuple(points)], t.main)
    pen.ring(50, 50, 25, t.dark, 4)
    pen.circle(50, 50, 14, t.accent)
    pen.circle(50, 50, 6.5, t.paper)


@subject("button", "call to action,cta,knopf,botón,bouton", colour="#3b7de0",
         accent="#ffffff", place="plain")  # fmt: skip
def _button(pen: Pen, t: Tone) -> None:
    with pen.role("shadow"):
        pen.shape([path.rectangle(4, 42, 92, 28, 9)], t.ink, alpha=0.3, blur=3)
    pen.rect(0, 34, 100, 31, t.dark, radius=9)
    pen.rect(0, 33, 100, 30, down(33, 30, t.light, t.main), radius=9)
    pen.text("Continue", 42, 48, 13.5, t.accent, bold=0.02)
    pen.trace("M80 42.5 L86 48 L80 53.5", t.accent, 2.8)


@subject("dashboard", "chart,charts,graph,analytics,statistics,finance,stock,growth,"
         "infographic,diagramm,gráfico,graphique,📊,📈", colour="#4c6fd1", accent="#f2814d",
         place="plain", size=1.25)  # fmt: skip
def _dashboard(pen: Pen, t: Tone) -> None:
    pen.rect(2, 12, 96, 78, "#ffffff", radius=5)
    pen.path("M2 24 L2 17 C2 14 4 12 7 12 L93 12 C96 12 98 14 98 17 L98 24 Z", t.ink)
    with pen.role("detail"):
        for i, ink in enumerate((t.accent, rgb("#f6cd5b"), rgb("#6cc49a"))):
            pen.circle(8 + i * 5, 18, 1.6, ink)
    pen.rect(8, 30, 52, 34, t.pale, radius=3)
    for i, h in enumerate((10, 16, 13, 22, 18, 26)):
        pen.rect(13 + i * 7.6, 61 - h, 5, h, t.accent if i == 5 else t.main, radius=1.2)
    pen.circle(78, 47, 13, t.main)
    pen.path("M78 47 L78 34 C87 34 91 41 91 47 Z", t.accent)
    pen.path("M78 47 L91 47 C91 54 86 58.5 82 59.4 Z", t.light)
    pen.circle(78, 47, 6, "#ffffff")
    pen.rect(8, 69, 84, 15, t.pale, radius=3)
    pen.trace("M12 80 L26 75 L38 78 L52 72 L66 76 L88 71.6", t.accent, 1.8)


@subject("mail", "email,envelope,letter icon,message,newsletter,inbox,brief,correo,📧,✉,💌",
         colour="#4f8ae0", accent="#f15b5b", place="plain")  # fmt: skip
def _mail(pen: Pen, t: Tone) -> None:
    pen.rect(6, 24, 88, 60, t.main, radius=6)
    pen.path("M8 82 L44 52 L56 52 L92 82 Z", t.light)
    pen.path("M7 28 C8 25 10 24 12 24 L88 24 C90 24 92 25 93 28 L56 60 C52 63 48 63 44 60 Z",
             t.dark)  # fmt: skip
    pen.path("M9 26 L91 26 L55 55 C52 57.6 48 57.6 45 55 Z", t.pale)
    pen.circle(88, 26, 10, t.accent)


@subject("chat", "speech bubble,conversation,dialog,💬", colour="#5b7fe0",
         accent="#3fc0a0", place="plain")  # fmt: skip
def _chat(pen: Pen, t: Tone) -> None:
    pen.path("M50 44 C50 38 54 36 58 36 L90 36 C94 36 97 38 97 43 L97 70 C97 75 94 77 90 77 L88 77 "
             "L90 90 L74 77 L58 77 C54 77 50 75 50 70 Z", t.accent)  # fmt: skip
    pen.path("M3 22 C3 16 7 13 12 13 L62 13 C67 13 71 16 71 22 L71 50 C71 56 67 59 62 59 L34 59 "
             "L14 76 L17 59 L12 59 C7 59 3 56 3 50 Z", t.main)  # fmt: skip
    for x in (22, 37, 52):
        pen.circle(x, 36, 4.6, t.paper)


@subject("search", "magnifying glass,magnifier,lupe,lupa,loupe,🔍", colour="#4a6078",
         accent="#7cc7e8", place="plain")  # fmt: skip
def _search(pen: Pen, t: Tone) -> None:
    pen.line((64, 64), (88, 88), ink=t.dark, width=12)
    pen.circle(42, 42, 33, t.main)
    pen.circle(42, 42, 25, t.accent)
    pen.path("M24 42 C24 30 32 23 42 22 C34 28 31 34 31 44 C30 50 24 48 24 42 Z", "#ffffff",
             alpha=0.8)  # fmt: skip


@subject("lightning", "bolt,electric,thunder,blitz,rayo,éclair,⚡",
         colour="#f8c12c", accent="#f28b2f", place="plain")  # fmt: skip
def _bolt(pen: Pen, t: Tone) -> None:
    pen.polygon((62, 4), (18, 56), (46, 56), (36, 96), (84, 40), (54, 40), ink=t.main)
    pen.polygon((62, 4), (46, 48), (54, 40), ink=t.accent)
    pen.polygon((46, 56), (36, 96), (56, 60), ink=t.accent, alpha=0.8)


@subject("shield", "protection,safety,secure,insurance,guard,schild,escudo,🛡", colour="#3d6fb5",
         accent="#f4c45a", place="plain")  # fmt: skip
def _shield(pen: Pen, t: Tone) -> None:
    pen.path("M50 6 C62 16 76 19 88 19 C88 56 78 80 50 94 C22 80 12 56 12 19 C24 19 38 16 50 6 Z",
             t.dark)  # fmt: skip
    pen.path("M50 13 C61 21 72 25 81 25 C80 56 72 76 50 87 C28 76 20 56 19 25 C28 25 39 21 50 13 Z",
             t.main)  # fmt: skip
    pen.path("M50 13 C61 21 72 25 81 25 C80 56 72 76 50 87 Z", t.light)
    pen.trace("M34 50 L46 62 L68 38", t.accent, 7.5)


@subject("crown", "king,queen,royal,krone,corona,couronne,👑", colour="#f3bb37", accent="#d9485f",
         place="plain")  # fmt: skip
def _crown(pen: Pen, t: Tone) -> None:
    pen.path("M12 84 L6 32 L30 54 L50 18 L70 54 L94 32 L88 84 Z", t.main)
    pen.path("M50 18 L70 54 L94 32 L88 84 L50 84 Z", t.dark, alpha=0.22)
    pen.rect(12, 78, 76, 12, t.dark, radius=3)
    for x, y in ((6, 30), (50, 16), (94, 30)):
        pen.circle(x, y, 5.4, t.accent)
    for x in (30, 50, 70):
        pen.circle(x, 66, 4.4, t.accent)


@subject("diamond", "gem,jewel,crystal,ruby,sapphire,jewelry,diamant,diamante,💎", colour="#5cc4e6",
         accent="#e6fbff", place="plain")  # fmt: skip
def _gem(pen: Pen, t: Tone) -> None:
    pen.polygon((24, 16), (76, 16), (96, 42), (50, 92), (4, 42), ink=t.main)
    pen.polygon((24, 16), (32, 42), (4, 42), ink=t.light)
    pen.polygon((24, 16), (50, 16), (32, 42), ink=t.accent)
    pen.polygon((50, 16), (68, 42), (32, 42), ink=t.light)
    pen.polygon((76, 16), (96, 42), (68, 42), ink=t.dark)
    pen.polygon((32, 42), (68, 42), (50, 92), ink=t.pale)
    pen.polygon((68, 42), (96, 42), (50, 92), ink=t.dark)


@subject("trophy", "winner,cup trophy,medal,champion,pokal,trofeo,trophée,🏆,🏅", colour="#efb73a",
         accent="#c9503f", place="plain")  # fmt: skip
def _trophy(pen: Pen, t: Tone) -> None:
    pen.arc(26, 28, 15, 70, 280, ink=t.dark, width=5.6)
    pen.arc(74, 28, 15, -100, 110, ink=t.dark, width=5.6)
    pen.path("M26 10 L74 10 C74 40 66 56 50 58 C34 56 26 40 26 10 Z", t.main)
    pen.path("M60 10 L74 10 C74 40 66 56 50 58 C60 48 62 30 60 10 Z", t.dark, alpha=0.35)
    pen.rect(45, 56, 10, 18, t.dark)
    pen.rect(34, 72, 32, 7, t.main, radius=2)
    pen.rect(28, 79, 44, 13, t.accent, radius=2)
    pen.shape([path.star(50, 30, 11, 4.8)], t.pale)


@subject("bulb", "light bulb,lightbulb,idea,brainstorm,brain,innovation,💡,🧠", colour="#f5c244",
         accent="#6b7686", place="plain")  # fmt: skip
def _bulb(pen: Pen, t: Tone) -> None:
    for i in range(7):
        with pen.placed(50, 42, turn=-108 + i * 36):
            pen.line((0, -40), (0, -47), ink=t.main, width=3.6)
    pen.path("M50 10 C70 10 82 25 82 42 C82 56 68 62 66 74 L34 74 C32 62 18 56 18 42 "
             "C18 25 30 10 50 10 Z", t.main)  # fmt: skip
    pen.path("M28 42 C28 30 36 21 47 19 C40 26 36 34 36 46 C34 50 28 48 28 42 Z", t.pale)
    with pen.role("detail"):
        pen.trace("M42 74 L40 50 L46 54 L50 49 L54 54 L60 50 L58 74", t.dark, 2)
    pen.rect(34, 74, 32, 6, t.accent, radius=3)
    pen.rect(36, 80, 28, 6, t.accent, radius=3)
    pen.rect(41, 86, 18, 6, t.accent, radius=3)


@subject("flag", "flags,pennant,banner flag,fahne,bandera,drapeau,🚩,🏁", colour="#e0503f",
         accent="#fff0d5", place="meadow", size=0.95)  # fmt: skip
def _flag(pen: Pen, t: Tone) -> None:
    pen.rect(18, 8, 4.6, 84, "#6d5a4a", radius=2)
    pen.path("M22 12 C40 4 54 22 88 12 L80 34 L88 56 C56 66 42 48 22 58 Z", t.main)
    pen.path("M22 26 C40 18 54 36 83 26 L80 34 L83 42 C56 52 42 34 22 44 Z", t.accent)


@subject("target", "goal,bullseye,dart,ziel,objetivo,🎯", colour="#e2483d",
         accent="#fdf5e6", place="plain")  # fmt: skip
def _target(pen: Pen, t: Tone) -> None:
    for i, r in enumerate((42, 33, 24, 15, 7)):
        pen.circle(46, 52, r, t.accent if i % 2 else t.main)
    pen.line((46, 52), (84, 14), ink="#4b3b32", width=3.4)
    pen.polygon((80, 8), (92, 4), (94, 8), (86, 18), (78, 20), ink="#3f7cc4")


@subject("music", "melody,song,musical,playlist,podcast,musik,música,musique,🎵,🎶",
         colour="#7a5bd0", accent="#f2709c", place="plain")  # fmt: skip
def _music(pen: Pen, t: Tone) -> None:
    with pen.placed(29, 78, turn=-20):
        pen.ellipse(0, 0, 17, 13, t.main)
    with pen.placed(73, 68, turn=-20):
        pen.ellipse(0, 0, 17, 13, t.main)
    pen.path("M38 22 L90 8 L90 24 L38 38 Z", t.accent)
    pen.rect(38, 26, 7, 52, t.main)
    pen.rect(83, 12, 7, 56, t.main)


@subject(
    "food",
    "meal,restaurant,dinner,lunch,bowl,soup,ramen,noodles,salad,sushi,burger,essen,"
    "comida,🍜,🍔,🍣,🥗",
    colour="#d8553f",
    accent="#f6d58a",
    place="room",
    size=0.9,
)
def _bowl(pen: Pen, t: Tone) -> None:
    pen.line((62, 44), (92, 8), ink="#8a5a3b", width=3)
    pen.line((68, 46), (98, 14), ink="#8a5a3b", width=3)
    with pen.role("detail"):
        for x in (30, 42):
            pen.trace(f"M{x} 34 C{x - 6} 27 {x + 6} 21 {x} 12", t.pale, 2.4, alpha=0.8)
    pen.ellipse(50, 48, 44, 11, t.dark)
    pen.ellipse(50, 48, 40, 8.6, t.accent)
    pen.circle(34, 46, 6, "#ffffff")
    pen.circle(34, 46, 2.8, "#f5a63a")
    pen.path("M48 44 C56 38 68 42 74 48 C66 53 54 52 48 44 Z", "#6aa556")
    pen.path("M6 48 C10 58 28 59 50 59 C72 59 90 58 94 48 C94 74 76 88 64 89 L36 89 "
             "C24 88 6 74 6 48 Z", t.main)  # fmt: skip
    with pen.role("detail"):
        pen.path("M10 64 C28 71 72 71 90 64 L88 70 C72 77 28 77 12 70 Z", t.pale, alpha=0.7)
    pen.rect(36, 87, 28, 5, t.dark, radius=2)
