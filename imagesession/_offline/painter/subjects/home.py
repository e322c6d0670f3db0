"""
Subjects of the house: crockery, furniture, food, instruments.
"""

from imagesession._offline.painter import path
from imagesession._offline.painter.drawing import Pen, across, down
from imagesession._offline.painter.subjects.table import Tone, subject


@subject("teapot", "teapots,tea pot,kettle,teekanne,théière,tetera,🫖",
         colour="#d9694a", accent="#f2c14e")  # fmt: skip
def _teapot(pen: Pen, t: Tone) -> None:
    pen.trace("M72 46 C92 38 98 62 74 74", t.dark, 5.5)
    pen.path("M31 58 C20 58 17 50 12 38 L4 36 L8 30 L20 31 C24 40 26 46 36 46 Z", t.dark)
    pen.path("M24 62 C24 44 36 35 51 35 C66 35 78 44 78 62 C78 80 66 90 51 90 "
             "C36 90 24 80 24 62 Z", t.main)  # fmt: skip
    with pen.role("detail"):
        pen.path("M62 37 C72 41 78 50 78 62 C78 80 66 90 51 90 C47 90 43 89 40 88 "
                 "C60 86 70 72 68 56 C67 48 65 42 62 37 Z", t.dark, alpha=0.45)  # fmt: skip
        pen.path("M30 58 C31 48 37 42 45 40 C38 46 35 52 35 60 C34 64 30 64 30 58 Z", t.pale,
                 alpha=0.8)  # fmt: skip
    pen.path("M24.6 57 C40 62 62 62 77.4 57 L78 64 C62 70 40 70 24 64 Z", t.accent)
    pen.path("M36 37 C37 29 44 26 51 26 C58 26 65 29 66 37 C57 40 45 40 36 37 Z", t.light)
    pen.circle(51, 22, 4.6, t.accent)
    pen.rect(38, 88.5, 26, 4, t.dark, radius=2)


@subject("cup", "mug,mugs,cups,coffee,espresso,latte,cappuccino,tea,cocoa,tasse,taza,café,☕",
         colour="#e9e4da", accent="#c8643c", size=0.8)  # fmt: skip
def _cup(pen: Pen, t: Tone) -> None:
    with pen.role("detail"):
        for x in (38, 48, 58):
            pen.trace(f"M{x} 30 C{x - 6} 24 {x + 6} 18 {x} 10", t.light, 2.6, alpha=0.75)
    pen.ellipse(48, 89, 40, 5, t.dark)
    pen.ellipse(48, 87.5, 40, 4.6, t.light)
    pen.arc(72, 58, 13, -80, 110, ink=t.dark, width=5.5)
    pen.path("M22 42 L74 42 C75 66 68 84 58 86 L38 86 C28 84 21 66 22 42 Z", t.main)
    with pen.role("detail"):
        pen.path("M60 42 L74 42 C75 66 68 84 58 86 L48 86 C58 80 62 60 60 42 Z", t.dark,
                 alpha=0.4)  # fmt: skip
    pen.path("M22.6 55 L73.4 55 C73 59 72.2 63 71.2 66 L24.8 66 C23.8 63 23 59 22.6 55 Z",
             t.accent)  # fmt: skip
    pen.ellipse(48, 42, 26, 5.6, t.light)
    pen.ellipse(48, 42.4, 22.5, 4.2, "#6b4128")
    with pen.role("detail"):
        pen.ellipse(44, 42, 9, 1.6, "#a9764d")


@subject("bottle", "bottles,flask,perfume,wine,lotion,flasche,🍾", colour="#4f8a6b",
         accent="#f1e3c2", size=1.1)  # fmt: skip
def _bottle(pen: Pen, t: Tone) -> None:
    pen.rect(43, 6, 14, 12, t.ink, radius=2.5)
    pen.path("M44 16 L56 16 L57 32 C58 40 68 42 68 54 L68 86 C68 90 66 92 62 92 L38 92 "
             "C34 92 32 90 32 86 L32 54 C32 42 42 40 43 32 Z", across(32, 36, t.light, t.main,
             t.dark))  # fmt: skip
    pen.rect(32, 56, 36, 24, t.accent)
    with pen.role("detail"):
        pen.rect(39, 62, 22, 2.6, t.ink, radius=1.2, alpha=0.85)
        pen.rect(43, 68, 14, 2, t.ink, radius=1, alpha=0.5)
        pen.circle(50, 74, 1.8, t.main)
        pen.path("M36 54 C37 47 43 44 45 38 L45 20 L47 20 L47 40 C45 46 39 49 39 55 Z", "#ffffff",
                 alpha=0.45)  # fmt: skip


@subject("lamp", "lamps,desk lamp,lantern,lampe,lámpara", colour="#2f7f86",
         accent="#ffd873", size=1.15)  # fmt: skip
def _lamp(pen: Pen, t: Tone) -> None:
    with pen.role("glow"):
        pen.path("M44 46 L82 30 L100 80 L34 88 Z", t.accent, alpha=0.28)
    pen.line((34, 88), (26, 52), ink=t.dark, width=3.6)
    pen.line((26, 52), (54, 26), ink=t.dark, width=3.6)
    pen.circle(26, 52, 4, t.main)
    pen.circle(67, 38, 8, t.accent)
    pen.path("M46 22 C52 12 68 8 76 18 L84 32 L46 46 C41 38 41 30 46 22 Z", t.main)
    with pen.role("detail"):
        pen.path("M46 22 C50 15 58 12 66 13 C56 17 50 26 49 45 L46 46 C41 38 41 30 46 22 Z",
                 t.light, alpha=0.7)  # fmt: skip
    pen.path("M16 92 C16 86 24 84 34 84 C44 84 52 86 52 92 Z", t.main)


@subject("chair", "chairs,armchair,sofa,couch,seat,stuhl,silla,🪑", colour="#e0a13e",
         accent="#3d5a6c", size=1.2)  # fmt: skip
def _chair(pen: Pen, t: Tone) -> None:
    for a, b in ((32, 27), (68, 73)):
        pen.line((a, 74), (b, 91), ink="#7a5238", width=3.6)
    pen.path("M26 52 C23 26 30 14 50 14 C70 14 77 26 74 52 L72 68 L28 68 Z", t.main)
    with pen.role("detail"):
        pen.path("M58 15 C72 17 77 28 74 52 L72 68 L62 68 C68 48 66 26 58 15 Z", t.dark, alpha=0.4)
        for x in (41, 50, 59):
            pen.trace(f"M{x} 24 L{x} 50", t.dark, 1.1, alpha=0.45)
    pen.rect(36, 42, 28, 18, t.accent, radius=4)
    pen.rect(28, 60, 44, 15, t.light, radius=6)
    pen.rect(15, 48, 15, 28, t.dark, radius=7)
    pen.rect(70, 48, 15, 28, t.dark, radius=7)


@subject("desk", "office,workspace,workplace,desktop,büro,oficina,bureau,study room,workstation",
         colour="#b97d4b", accent="#3f8f83", size=1.5)  # fmt: skip
def _desk(pen: Pen, t: Tone) -> None:
    pen.rect(4, 64, 92, 5, t.main, radius=1.5)
    pen.rect(9, 69, 4, 23, t.dark)
    pen.rect(87, 69, 4, 23, t.dark)
    pen.rect(62, 69, 25, 17, t.light)
    with pen.role("detail"):
        pen.rect(62, 77, 25, 1, t.dark)
        pen.circle(74.5, 73, 1.1, t.ink)
        pen.circle(74.5, 81.5, 1.1, t.ink)
    pen.rect(46, 56, 8, 6, "#8a919c")
    pen.rect(40, 61.5, 20, 2.6, "#a6adb8", radius=1.2)
    pen.rect(30, 30, 40, 27, "#2c3242", radius=2)
    pen.rect(32, 32, 36, 23, down(32, 23, "#8fd0dd", "#4a7fb5"))
    with pen.role("detail"):
        pen.rect(35, 36, 14, 2, "#ffffff", radius=1, alpha=0.9)
        for i, w in enumerate((22, 16, 25)):
            pen.rect(35, 41 + i * 4, w, 1.6, "#ffffff", radius=0.8, alpha=0.55)
    pen.line((80, 63), (76, 47), ink="#39404a", width=1.7)
    pen.line((76, 47), (84, 38), ink="#39404a", width=1.7)
    pen.path("M78 36 L87 32 L92 42 L82 43 Z", t.accent)
    pen.rect(74, 62, 12, 2, "#39404a", radius=1)
    pen.path("M13 54 L23 54 L21.5 64 L14.5 64 Z", "#d76f50")
    for x, y, turn in ((18, 42, 0), (13, 46, -38), (23, 46, 38)):
        with pen.placed(x, y, turn=turn):
            pen.ellipse(0, 2, 3, 10, t.accent)
    pen.path("M38 74 C38 68 62 68 62 74 L60 82 L40 82 Z", "#3b4558")
    pen.rect(48.5, 81, 3, 8, "#2c3242")
    pen.rect(41, 89, 18, 3, "#2c3242", radius=1.5)


@subject("book", "books,notebook,novel,library,buch,libro,livre,diary,📚,📖", colour="#b5453c",
         accent="#f0cf83", size=0.85)  # fmt: skip
def _book(pen: Pen, t: Tone) -> None:
    pen.path("M6 36 C20 28 38 29 50 37 L50 88 C38 80 20 79 6 86 Z", t.dark)
    pen.path("M94 36 C80 28 62 29 50 37 L50 88 C62 80 80 79 94 86 Z", t.main)
    pen.path("M10 31 C22 24 39 25 50 33 L50 82 C39 74 22 73 10 80 Z", "#fbf4e4")
    pen.path("M90 31 C78 24 61 25 50 33 L50 82 C61 74 78 73 90 80 Z", "#efe4cd")
    with pen.role("detail"):
        for i in range(5):
            y = 40 + i * 7
            pen.trace(f"M17 {y} C26 {y - 3} 36 {y - 2} 44 {y + 3}", "#b9a88c", 1.4)
            pen.trace(f"M83 {y} C74 {y - 3} 64 {y - 2} 56 {y + 3}", "#b9a88c", 1.4)
    pen.path("M66 26 L74 26.4 L74 52 L70 47 L66 51 Z", t.accent)


@subject("guitar", "guitars,ukulele,violin,gitarre,guitarra,guitare,🎸", colour="#c9772f",
         accent="#f4dcae", size=1.2)  # fmt: skip
def _guitar(pen: Pen, t: Tone) -> None:
    with pen.placed(50, 54, 1.02, turn=24):
        pen.rect(-3.2, -46, 6.4, 50, "#5b3722")
        pen.path("M-5 -54 L5 -54 L4 -42 L-4 -42 Z", "#43281a")
        pen.path("M0 -8 C11 -12 18 -6 16 3 C15 9 24 12 24 23 C24 37 13 42 0 42 C-13 42 -24 37 "
                 "-24 23 C-24 12 -15 9 -16 3 C-18 -6 -11 -12 0 -8 Z", t.dark)  # fmt: skip
        pen.path("M0 -6 C10 -10 16 -5 14 3 C13 9 21 13 21 23 C21 35 12 39 0 39 C-12 39 -21 35 "
                 "-21 23 C-21 13 -13 9 -14 3 C-16 -5 -10 -10 0 -6 Z",
                 down(-8, 48, t.light, t.main))  # fmt: skip
        pen.ring(0, 10, 8, t.accent, 1.8)
        pen.circle(0, 10, 6.6, "#3a2216")
        pen.rect(-9, 27, 18, 3.6, "#43281a", radius=1.4)
        with pen.role("detail"):
            for x in (-2.1, -0.7, 0.7, 2.1):
                pen.line((x, -50), (x, 28), ink="#f7efe0", width=0.5)
            for y in (-51, -46):
                pen.circle(-6, y, 1.4, t.accent)
                pen.circle(6, y, 1.4, t.accent)


@subject("apple", "apples,apfel,manzana,pomme,fruit,fruits,🍎", colour="#d93f3c",
         accent="#6aa84f", size=0.75)  # fmt: skip
def _apple(pen: Pen, t: Tone) -> None:
    pen.trace("M50 34 C49 26 51 18 56 12", "#6b4226", 3.6)
    pen.path("M54 22 C60 10 74 8 82 12 C78 24 66 28 54 22 Z", t.accent)
    pen.path("M50 34 C58 26 84 26 86 52 C87 74 70 94 60 92 C55 91 45 91 40 92 C30 94 13 74 14 52 "
             "C16 26 42 26 50 34 Z", t.main)  # fmt: skip
    with pen.role("detail"):
        pen.path("M72 31 C81 35 86 42 86 52 C87 74 70 94 60 92 C56 91.3 50 91 46 91.3 "
                 "C68 84 80 58 72 31 Z", t.dark, alpha=0.4)  # fmt: skip
        pen.path("M22 52 C22 42 28 36 35 36 C28 42 27 48 27 56 C26 62 22 60 22 52 Z", "#ffffff",
                 alpha=0.5)  # fmt: skip


@subject("orange fruit", "oranges,lemon,lime fruit,citrus,zitrone,limón,🍊,🍋", colour="#f6b93b",
         accent="#5f9e4a", size=0.7)  # fmt: skip
def _citrus(pen: Pen, t: Tone) -> None:
    pen.path("M52 24 C58 12 72 10 80 15 C76 26 64 30 52 24 Z", t.accent)
    pen.circle(44, 58, 34, t.main)
    with pen.role("detail"):
        pen.path("M62 29 C74 36 78 48 78 58 C78 76 62 92 44 92 C38 92 33 90.5 29 88 "
                 "C56 86 70 60 62 29 Z", t.dark, alpha=0.28)  # fmt: skip
    pen.circle(70, 70, 22, t.dark)
    pen.circle(70, 70, 20, "#fff3d0")
    pen.circle(70, 70, 17.5, t.light)
    with pen.role("detail"):
        for i in range(8):
            with pen.placed(70, 70, turn=i * 45):
                pen.line((3, 0), (17, 0), ink="#fff3d0", width=1.4)


@subject("cake", "birthday,cupcake,torte,kuchen,pastel de,gâteau,muffin,dessert,🎂,🍰",
         colour="#f2a3b3", accent="#e85d75", size=0.95)  # fmt: skip
def _cake(pen: Pen, t: Tone) -> None:
    for x in (36, 50, 64):
        pen.rect(x - 1.5, 20, 3, 18, t.accent, radius=1)
        pen.path(f"M{x} 8 C{x + 4} 13 {x + 3} 18 {x} 18 C{x - 3} 18 {x - 4} 13 {x} 8 Z", "#ffc845")
    pen.ellipse(50, 90, 44, 4.5, "#dfe3e8")
    pen.rect(24, 36, 52, 24, "#f7e3cf", radius=3)
    pen.rect(14, 58, 72, 31, "#f3d7bd", radius=3)
    pen.path("M24 38 C24 34 26 34 28 34 L72 34 C74 34 76 34 76 38 L76 44 C74 50 69 50 67 44 "
             "C65 52 58 52 56 45 C54 49 48 50 46 44 C44 53 37 52 35 45 C33 49 26 49 24 44 Z",
             t.main)  # fmt: skip
    pen.path("M14 60 C14 57 16 56 18 56 L82 56 C84 56 86 57 86 60 L86 66 C84 72 78 72 76 66 "
             "C74 75 66 75 64 67 C62 71 55 72 53 66 C51 76 43 75 41 67 C39 72 32 72 30 66 "
             "C28 74 20 74 18 67 C17 69 14 69 14 66 Z", t.main)  # fmt: skip
    with pen.role("detail"):
        pen.rect(14, 79, 72, 3, t.accent, alpha=0.8)
        for i, x in enumerate((28, 40, 52, 63, 72)):
            pen.circle(x, 39 + i % 2 * 2, 1.5, ("#ffffff", "#ffd166", "#7fc8f8")[i % 3])


@subject("pizza", "slice of pizza,pizzas,🍕", colour="#f2b134", accent="#cf3f32", size=0.85)
def _pizza(pen: Pen, t: Tone) -> None:
    with pen.placed(50, 50, turn=12):
        pen.path("M-38 -30 C-14 -44 14 -44 38 -30 L4 42 C2 46 -2 46 -4 42 Z", t.main)
        pen.path("M-42 -32 C-16 -48 16 -48 42 -32 C44 -28 40 -22 36 -24 C14 -36 -14 -36 -36 -24 "
                 "C-40 -22 -44 -28 -42 -32 Z", "#c4803c")  # fmt: skip
        for x, y, r in ((-14, -16, 7), (13, -18, 7), (1, 4, 7), (-2, 26, 4)):
            pen.circle(x, y, r, t.accent)
        with pen.role("detail"):
            for x, y in ((-4, -22), (14, -2), (-10, 4), (6, 18)):
                pen.ellipse(x, y, 3, 1.6, "#5f8f3e")


@subject("ice cream", "icecream,gelato,eis,helado,sorbet,🍦,🍨", colour="#f5a6bd",
         accent="#8fd3c1", size=0.95)  # fmt: skip
def _icecream(pen: Pen, t: Tone) -> None:
    pen.path("M28 50 L72 50 L52 92 C51 94 49 94 48 92 Z", "#d99a55")
    with pen.role("detail"):
        for a in (34, 46, 58):
            pen.line((a, 52), (a + 9, 66), ink="#b97a3a", width=1.3)
            pen.line((a + 9, 52), (a, 66), ink="#b97a3a", width=1.3)
    pen.circle(38, 42, 15, t.accent)
    pen.circle(62, 42, 15, t.light)
    pen.circle(50, 26, 17, t.main)
    pen.path("M26 46 C30 56 38 48 44 52 C50 58 56 48 62 53 C68 56 74 50 74 46 Z", t.main)
    pen.circle(54, 9, 4.6, "#d8324a")


@subject("clock", "alarm clock,uhr,reloj,⏰", colour="#3d6b8e", accent="#e6604d", size=0.85)
def _clock(pen: Pen, t: Tone) -> None:
    pen.line((26, 84), (20, 92), ink=t.dark, width=5)
    pen.line((74, 84), (80, 92), ink=t.dark, width=5)
    pen.circle(24, 22, 10, t.accent)
    pen.circle(76, 22, 10, t.accent)
    pen.circle(50, 54, 38, t.main)
    pen.circle(50, 54, 31, "#fdf8ec")
    with pen.role("detail"):
        for i in range(12):
            with pen.placed(50, 54, turn=i * 30):
                pen.rect(-0.9, -28, 1.8, 4 + (i % 3 == 0) * 3, t.ink, radius=0.8)
    pen.line((50, 54), (50, 34), ink=t.ink, width=3.2)
    pen.line((50, 54), (64, 62), ink=t.ink, width=3.2)
    pen.circle(50, 54, 3.4, t.accent)


@subject("candle", "candles,kerze,vela,bougie,🕯", colour="#efe2c6", accent="#ffb637", size=0.75)
def _candle(pen: Pen, t: Tone) -> None:
    with pen.role("glow"):
        pen.circle(50, 24, 24, t.accent, alpha=0.25)
    pen.path("M50 6 C60 18 60 34 50 35 C40 34 40 18 50 6 Z", t.accent)
    pen.path("M50 18 C55 25 54 33 50 33.5 C46 33 45 25 50 18 Z", "#fff2b8")
    pen.line((50, 34), (50, 42), ink="#4a3a2c", width=1.8)
    pen.rect(34, 41, 32, 51, across(34, 32, t.light, t.main, t.dark), radius=4)
    pen.path("M34 46 C34 42 38 41 42 41 L58 41 C62 41 66 42 66 46 C66 56 62 56 61 50 C60 46 56 46 "
             "55 50 C54 60 48 60 47 51 C46 47 42 48 41 51 C40 56 34 54 34 46 Z",
             t.light)  # fmt: skip


@subject("vase", "vases,pot,jar,pottery,jarrón", colour="#4a7c8c", accent="#f0b44c")
def _vase(pen: Pen, t: Tone) -> None:
    for d in ("M50 34 C48 22 44 14 36 8", "M50 34 C50 20 52 12 56 4", "M50 34 C54 22 62 18 72 16"):
        pen.trace(d, "#5d8a52", 2)
    for x, y in ((36, 8), (56, 6), (72, 16)):
        pen.circle(x, y, 6, t.accent)
        pen.circle(x, y, 2.4, "#fff3cf")
    pen.path("M40 32 L60 32 L58 42 C74 50 76 84 62 92 L38 92 C24 84 26 50 42 42 Z",
             across(26, 48, t.light, t.main, t.dark))  # fmt: skip
    pen.path("M28.6 62 C40 67 60 67 71.4 62 L72 68 C60 73 40 73 28.4 68 Z", t.accent, alpha=0.9)


@subject("gift", "present,presents,gifts,box,package,parcel,geschenk,regalo,🎁", colour="#d7483f",
         accent="#f6cf62", size=0.8)  # fmt: skip
def _gift(pen: Pen, t: Tone) -> None:
    pen.shape([path.ellipse(37, 26, 12, 9), path.ellipse(63, 26, 12, 9)], None, stroke=t.accent,
              width=5)  # fmt: skip
    pen.rect(16, 48, 68, 44, t.main, radius=3)
    pen.rect(10, 34, 80, 17, t.light, radius=3)
    with pen.role("detail"):
        pen.rect(60, 51, 24, 41, t.dark, alpha=0.35)
    pen.rect(43, 34, 14, 58, t.accent)


@subject("umbrella", "umbrellas,parasol,regenschirm,paraguas,parapluie,☂,☔", colour="#d64545",
         accent="#f4c95d", place="road")  # fmt: skip
def _umbrella(pen: Pen, t: Tone) -> None:
    pen.trace("M50 14 L50 82 C50 92 64 92 64 82", "#5b4636", 3.4)
    pen.path("M8 52 C10 26 28 14 50 14 C72 14 90 26 92 52 C86 46 76 46 70 52 C64 46 56 46 50 52 "
             "C44 46 36 46 30 52 C24 46 14 46 8 52 Z", t.main)  # fmt: skip
    pen.path("M50 14 C42 22 31 36 30 52 C36 46 44 46 50 52 Z", t.accent)
    pen.path("M50 14 C58 22 69 36 70 52 C64 46 56 46 50 52 Z", t.accent, alpha=0.75)
    pen.line((50, 14), (50, 8), ink="#5b4636", width=3)
