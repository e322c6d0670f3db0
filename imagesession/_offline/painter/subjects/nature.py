"""
Subjects of nature: sky, land and plants.
"""

from imagesession._offline.painter import path
from imagesession._offline.painter.colour import rgb
from imagesession._offline.painter.drawing import Pen, down
from imagesession._offline.painter.subjects.table import Tone, subject


@subject("mountain", "mountains,peak,peaks,alps,alpine,berg,berge,montaña,montagne,🏔,⛰",
         colour="#5d7fa3", accent="#f4f7fb", place="land")  # fmt: skip
def _mountain(pen: Pen, t: Tone) -> None:
    pen.polygon((52, 92), (76, 38), (100, 92), ink=t.light)
    pen.polygon((76, 38), (100, 92), (80, 92), (74, 66), ink=t.main, alpha=0.5)
    pen.polygon((0, 92), (40, 14), (80, 92), ink=t.main)
    pen.polygon((40, 14), (80, 92), (46, 92), (40, 62), (46, 44), ink=t.dark)
    pen.polygon((40, 14), (26, 42), (33, 38), (39, 46), (45, 38), (54, 42), ink=t.accent)


@subject("meadow", "hill,hills,landscape,valley,field,fields,countryside,nature,park,grass,farm,"
         "prairie,wiese,landschaft,paisaje,paysage,prado,🏞", colour="#7bb661", accent="#fbd46b",
         place="land")  # fmt: skip
def _meadow(pen: Pen, t: Tone) -> None:
    pen.circle(68, 34, 15, t.accent)
    pen.path("M2 62 C24 40 48 42 66 56 C78 50 90 50 98 56 L98 92 L2 92 Z", t.light)
    pen.path("M2 74 C30 58 54 64 98 84 L98 92 L2 92 Z", t.main)
    pen.path("M40 92 C58 76 78 70 98 72 L98 92 Z", t.dark)


@subject("lake", "lakes,pond,river,stream,waterfall,fjord,lago,lac,rivière,reflection",
         colour="#4f9cc0", accent="#e8f6fa", place="land")  # fmt: skip
def _lake(pen: Pen, t: Tone) -> None:
    pen.polygon((10, 52), (34, 22), (58, 52), ink=t.dark)
    pen.polygon((42, 52), (66, 30), (90, 52), ink=t.ink, alpha=0.6)
    pen.path("M4 52 L96 52 C96 76 76 92 50 92 C24 92 4 76 4 52 Z", down(52, 40, t.light, t.main))
    for x, y, w in ((24, 60, 30), (46, 68, 34), (30, 76, 26), (48, 83, 16)):
        pen.rect(x, y, w, 2.6, t.accent, radius=1.3, alpha=0.85)


@subject("sea", "ocean,beach,coast,waves,wave,shore,seaside,surf,meer,strand,mar,playa,mer,plage,"
                "🌊",
         colour="#2a86b8", accent="#f5e1b4", place="land")  # fmt: skip
def _sea(pen: Pen, t: Tone) -> None:
    pen.path("M2 86 C14 40 40 18 66 24 C86 29 92 48 80 56 C84 42 72 36 62 42 C50 50 54 72 98 78 "
             "L98 92 L2 92 Z", t.main)  # fmt: skip
    pen.path("M66 24 C86 29 92 48 80 56 C84 42 72 36 62 42 C56 46 54 52 56 58 C46 50 50 30 66 24 Z",
             t.light)  # fmt: skip
    pen.path("M2 92 L2 86 C8 68 18 50 30 40 C24 60 34 80 62 92 Z", t.dark, alpha=0.8)
    with pen.role("detail"):
        for x, y, r in ((66, 22, 4), (75, 26, 5), (84, 34, 4.4), (86, 44, 4), (82, 54, 3)):
            pen.circle(x, y, r, "#ffffff")


@subject("tree", "trees,oak,baum,árbol,arbre,pine,fir,🌳,🌲", colour="#4c9a5c", accent="#8a5a3b",
         place="meadow", size=1.35)  # fmt: skip
def _tree(pen: Pen, t: Tone) -> None:
    pen.path("M46 92 L47 56 L53 56 L54 92 Z", t.accent)
    pen.line((50, 72), (62, 60), ink=t.accent, width=3)
    for x, y, r in ((34, 46, 20), (66, 46, 20), (50, 30, 24), (50, 52, 18)):
        pen.circle(x, y, r, t.main)
    with pen.role("detail"):
        for x, y, r in ((72, 50, 13), (62, 36, 12), (52, 58, 10)):
            pen.circle(x, y, r, t.dark, alpha=0.35)
        for x, y, r in ((40, 26, 11), (28, 42, 9)):
            pen.circle(x, y, r, t.light, alpha=0.6)


@subject("forest", "woods,jungle,woodland,rainforest,wald,bosque,forêt", colour="#3b7f57",
         accent="#8fc06a", place="land")  # fmt: skip
def _forest(pen: Pen, t: Tone) -> None:
    for x, top, w, ink in ((24, 34, 17, t.light), (78, 30, 18, t.dark), (50, 10, 23, t.main)):
        pen.rect(x - 2, 80, 4, 12, "#6b4a35")
        height = 84 - top
        for i in range(3):
            y = top + i * height * 0.26
            half = w * (0.6 + i * 0.2)
            pen.polygon((x, y), (x + half, y + height * 0.46), (x - half, y + height * 0.46),
                        ink=ink)  # fmt: skip


@subject("palm", "palm tree,palms,palm trees,island,tropical,palme,palmera,🌴,🏝", colour="#3f9b63",
         accent="#9a6b42", place="meadow", size=1.35)  # fmt: skip
def _palm(pen: Pen, t: Tone) -> None:
    pen.path("M44 92 C46 70 48 50 55 34 L60 36 C55 52 53 70 53 92 Z", t.accent)
    for turn, ink in ((-150, t.dark), (-110, t.main), (-60, t.main), (-20, t.dark), (20, t.light),
                      (-190, t.light)):  # fmt: skip
        with pen.placed(57, 34, turn=turn):
            pen.path("M0 -2 C14 -12 32 -10 40 4 C28 0 14 2 0 4 Z", ink)
    pen.circle(54, 38, 3.6, "#6b4426")
    pen.circle(60, 39, 3.6, "#7d5230")


@subject("flower", "flowers,floral,roses,tulip,tulips,daisy,lotus,lily,sunflower,blossom,bouquet,"
                   "blume,flor,"
         "fleur,orchid,🌸,🌷,🌻,🌹,🌼", colour="#ee7a9a", accent="#f7c548", place="meadow",
         size=0.9)  # fmt: skip
def _flower(pen: Pen, t: Tone) -> None:
    pen.trace("M50 44 C50 60 48 76 50 92", "#4f8f56", 3.4)
    pen.path("M50 78 C58 60 74 58 82 62 C78 76 64 82 50 78 Z", "#63a866")
    pen.path("M49 86 C42 72 28 68 20 72 C24 84 36 90 49 86 Z", "#4f8f56")
    for i in range(8):
        with pen.placed(50, 36, turn=i * 45):
            pen.ellipse(0, -18, 8, 13, t.main if i % 2 else t.light)
    pen.circle(50, 36, 10, t.accent)
    with pen.role("detail"):
        for x, y in ((47, 33), (53, 34), (50, 39), (46, 38)):
            pen.circle(x, y, 1.2, "#b9771f")


@subject(
    "plant",
    "plants,houseplant,leaf,leaves,succulent,monstera,fern,pflanze,planta,plante,"
    "garden,botanical,green energy,eco,organic,🌿,🌱,🪴,🍃",
    colour="#3f9469",
    accent="#d2734e",
    size=0.95,
)
def _plant(pen: Pen, t: Tone) -> None:
    for turn, length, ink in ((-62, 40, t.dark), (62, 40, t.dark), (-34, 48, t.main),
                              (34, 48, t.light), (0, 56, t.main)):  # fmt: skip
        with pen.placed(50, 66, turn=turn):
            k = length
            pen.path(f"M0 0 C-{k * 0.3} -{k * 0.35} -{k * 0.26} -{k * 0.8} 0 -{k} "
                     f"C{k * 0.26} -{k * 0.8} {k * 0.3} -{k * 0.35} 0 0 Z", ink)  # fmt: skip
            with pen.role("detail"):
                pen.line((0, 0), (0, -k * 0.85), ink=t.pale, width=1, alpha=0.7)
    pen.path("M30 64 L70 64 L65 92 L35 92 Z", t.accent)
    pen.rect(27, 60, 46, 8, t.accent, radius=2)
    with pen.role("detail"):
        pen.rect(30, 68, 40, 3, "#000000", alpha=0.14)


@subject("mushroom", "mushrooms,toadstool,pilz,seta,champignon,🍄", colour="#d9483b",
         accent="#fdf3e3", place="meadow", size=0.75)  # fmt: skip
def _mushroom(pen: Pen, t: Tone) -> None:
    pen.path("M40 54 L60 54 C60 70 64 84 66 92 L34 92 C36 84 40 70 40 54 Z", "#f4e6cf")
    pen.path("M10 58 C10 30 30 14 50 14 C70 14 90 30 90 58 C70 64 30 64 10 58 Z", t.main)
    for x, y, r in ((34, 36, 7), (58, 28, 6), (72, 46, 6), (50, 49, 5), (22, 51, 4)):
        pen.circle(x, y, r, t.accent)


@subject("cactus", "cacti,desert,wüste,desierto,🌵", colour="#4f9a68", accent="#f28aa0",
         place="meadow")  # fmt: skip
def _cactus(pen: Pen, t: Tone) -> None:
    pen.trace("M52 74 L72 74 C78 74 80 70 80 64 L80 50", t.main, 11)
    pen.trace("M48 62 L30 62 C24 62 22 58 22 52 L22 40", t.main, 11)
    pen.rect(39, 14, 22, 78, t.main, radius=11)
    with pen.role("detail"):
        for x in (45, 50, 55):
            pen.line((x, 22), (x, 88), ink=t.dark, width=1.2, alpha=0.6)
    pen.circle(50, 13, 5.5, t.accent)
    pen.circle(80, 46, 4, t.accent)


@subject("sun", "sunny,sunshine,sonne,sol,soleil,☀,🌞", colour="#fcbf3a", accent="#f58a3c",
         place="sky", size=0.42)  # fmt: skip
def _sun(pen: Pen, t: Tone) -> None:
    for i in range(12):
        with pen.placed(50, 50, turn=i * 30):
            pen.polygon((-4.5, -33), (4.5, -33), (0, -46), ink=t.accent)
    pen.circle(50, 50, 28, t.main)
    with pen.role("detail"):
        pen.circle(44, 44, 17, t.light, alpha=0.6)


@subject("moon", "crescent,mond,luna,lune,🌙,🌕,🌛", colour="#f6e7b2", accent="#c9b26f",
         place="sky", size=0.25)  # fmt: skip
def _moon(pen: Pen, t: Tone) -> None:
    pen.path("M62 10 C38 12 20 30 20 52 C20 76 40 92 62 90 C68 89.5 74 88 80 84 C54 84 40 68 40 48 "
             "C40 32 48 18 62 10 Z", t.main)  # fmt: skip
    with pen.role("detail"):
        pen.circle(32, 52, 4, t.accent, alpha=0.5)
        pen.circle(41, 72, 3, t.accent, alpha=0.5)


@subject("stars", "starry,constellation,sternenhimmel,estrellas,galaxy,milky way,🌌", place="sky",
         colour="#f6dd8a", accent="#ffffff", size=0.5)  # fmt: skip
def _stars(pen: Pen, t: Tone) -> None:
    for x, y, r in ((44, 56, 30), (78, 26, 15), (22, 22, 10), (82, 74, 9)):
        pen.shape([path.star(x, y, r, r * 0.42, 5)], t.main)


@subject("cloud", "clouds,cloudy,wolke,wolken,nube,nuage,☁,⛅", colour="#dfe9f3", accent="#ffffff",
         place="sky", size=0.5)  # fmt: skip
def _cloud(pen: Pen, t: Tone) -> None:
    pen.path("M22 76 C2 76 2 50 22 50 C22 30 50 24 58 42 C72 32 88 44 82 54 C98 54 98 76 80 76 Z",
             t.main)  # fmt: skip
    pen.path("M22 70 C8 70 8 52 24 52 C24 36 48 30 56 46 C68 38 80 46 77 57 C88 60 86 70 76 70 Z",
             t.accent, alpha=0.75)  # fmt: skip


@subject("rainbow", "regenbogen,arcoíris,🌈", colour="#e8575a", accent="#5aa9e6", place="sky",
         size=0.9)  # fmt: skip
def _rainbow(pen: Pen, t: Tone) -> None:
    inks = (t.main, rgb("#f59e42"), rgb("#f9d84a"), rgb("#6cc06a"), t.accent, rgb("#8a6bc9"))
    for i, ink in enumerate(inks):
        pen.arc(50, 80, 46 - i * 5, 180, 360, ink=ink, width=5.2)


@subject("volcano", "vulkan,volcán,volcan,🌋", colour="#6b4a4f", accent="#ff6b35", place="land")
def _volcano(pen: Pen, t: Tone) -> None:
    for x, y, r in ((50, 16, 9), (60, 12, 8), (42, 10, 7)):
        pen.circle(x, y, r, "#c9c4c8")
    pen.polygon((4, 92), (38, 30), (62, 30), (96, 92), ink=t.main)
    pen.polygon((62, 30), (96, 92), (58, 92), (52, 60), ink=t.dark)
    pen.path("M38 30 L62 30 L58 44 L54 38 L50 58 L46 42 L42 50 Z", t.accent)


@subject("planet", "planets,saturn,earth,globe,world,mars,jupiter,planeta,erde,🪐,🌍,🌎",
         colour="#d98b5f", accent="#f3d9a4", place="space")  # fmt: skip
def _planet(pen: Pen, t: Tone) -> None:
    with pen.placed(50, 50, turn=-18):
        pen.arc(0, 0, 46, 180, 360, ink=t.accent, width=5, squash=0.28)
        pen.circle(0, 0, 29, t.main)
        with pen.role("detail"):
            pen.path("M-28 -8 C-10 -2 10 -2 28 -8 L29 2 C10 8 -10 8 -29 2 Z", t.light, alpha=0.7)
            pen.path("M-22 18 C-8 23 8 23 22 18 C18 24 10 29 0 29 C-10 29 -18 24 -22 18 Z", t.dark,
                     alpha=0.5)  # fmt: skip
        pen.arc(0, 0, 46, 0, 180, ink=t.accent, width=5, squash=0.28)


@subject("fire", "flame,flames,campfire,bonfire,feuer,fuego,feu,🔥", colour="#f2622e",
         accent="#ffc23d", place="meadow", size=0.7)  # fmt: skip
def _fire(pen: Pen, t: Tone) -> None:
    pen.path("M52 6 C60 26 84 38 82 64 C81 82 66 92 50 92 C34 92 18 82 18 62 C18 48 28 42 30 30 "
             "C38 36 42 42 42 48 C52 40 56 24 52 6 Z", t.main)  # fmt: skip
    pen.path("M52 42 C56 54 70 60 68 74 C67 86 58 92 50 92 C41 92 32 86 32 74 C32 66 38 62 40 56 "
             "C44 60 46 62 46 66 C52 60 54 52 52 42 Z", t.accent)  # fmt: skip
    pen.path("M50 68 C54 74 58 78 57 84 C56 90 53 92 50 92 C46 92 43 89 43 84 C43 78 48 76 50 68 Z",
             "#fff0b8")  # fmt: skip
