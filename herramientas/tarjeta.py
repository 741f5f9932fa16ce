"""Dibuja `nbs/tarjeta.png`, la imagen que se ve al compartir un enlace del sitio:
un gallo y su sonido, hechos con el perfil mini."""

import io
from pathlib import Path

import matplotlib.pyplot as plt
from ejecutar import ligera

from img2audio.comun.imagenes import imagen_de_emoji
from img2audio.comun.sonidos import dibujar_mel, log_mel
from img2audio.integracion import sonorizar

RAIZ = Path(__file__).resolve().parents[1]
FONDO, TINTA, ACENTO = '#16324f', '#ffffff', '#f2a541'


def tarjeta():
    "La figura, de 1200 × 630 píxeles (lo que piden las tarjetas de Open Graph)."
    import torch

    sonido = sonorizar('🐓', progreso=False)
    fig = plt.figure(figsize=(12, 6.3), dpi=100, facecolor=FONDO)
    fig.text(0.06, 0.80, 'img2audio', color=TINTA, fontsize=54, fontweight='bold')
    fig.text(0.06, 0.69, 'De una imagen, su sonido', color=ACENTO, fontsize=26)
    ax = fig.add_axes((0.06, 0.12, 0.2625, 0.5))
    ax.axis('off')
    ax.imshow(imagen_de_emoji('🐓', 300))
    fig.text(0.355, 0.345, '→', color=ACENTO, fontsize=60, ha='center', va='center')
    ax = fig.add_axes((0.41, 0.12, 0.53, 0.5))
    dibujar_mel(log_mel(torch.from_numpy(sonido.muestras)), ax)
    ax.set(title='', xlabel='', ylabel='', xticks=[], yticks=[])
    fig.text(0.06, 0.045, 'CLIP  ·  Traductor  ·  CLAP  ·  AudioLDM', color=TINTA, fontsize=18)
    return fig


if __name__ == '__main__':
    tampon = io.BytesIO()
    tarjeta().savefig(tampon, facecolor=FONDO, metadata={'Software': None})
    (RAIZ / 'nbs' / 'tarjeta.png').write_bytes(ligera(tampon.getvalue()))
    print('nbs/tarjeta.png')
