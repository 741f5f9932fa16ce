"""Argumentos al azar: la orden acaba en su sitio, con un sonido o con una frase en español; nunca con una traza.

Con `IMG2AUDIO_LARGO=1`, diez veces más."""

import io
import os
import random
import re
import runpy
import shutil
import sys
from pathlib import Path

import pytest

DIBUJO = Path(__file__).resolve().parents[2] / 'img2audio' / 'dibujos' / 'fluent' / 'rooster' / 'gallina.png'
NUMEROS = [
    '0',
    '1',
    '2',
    '-1',
    '-0.0',
    '.5',
    '1e3',
    '1e309',
    'nan',
    'inf',
    '-inf',
    '0x10',
    '1_0',
    '١',
    '',
    ' ',
    '1,2',
    '99999999999999999999',
    'verdadero',
]
TEXTOS = [
    '',
    ' ',
    'perro',
    'ñ' * 3000,
    '\x00',
    'caf\udce9.png',
    '🐓',
    '🐓🐶',
    '--',
    '-',
    '-o',
    '../..',
    '/',
    '/dev/null',
    '/dev/full',
    'nada.png',
    'file:///etc/passwd',
    'http://127.0.0.1:1/a.png',
    'https://',
    '%s%n',
    '{0}',
    '$(true)',
    'a\nb',
    'carpeta',
    'rota.png',
    'texto.png',
    'sonido.txt',
    'b.wav',
    'b.mp3',
    'sin/carpeta/b.wav',
]
OPCIONES = dict(
    texto=TEXTOS,
    negativo=TEXTOS,
    o=TEXTOS,
    lamina=TEXTOS,
    lote=TEXTOS,
    sonido=TEXTOS,
    checkpoint=TEXTOS,
    perfil=['mini', 'base', *TEXTOS],
    dispositivo=['cpu', 'cuda', 'cuda:99', 'meta', *TEXTOS],
    dtype=['float32', 'bfloat16', 'int8', *TEXTOS],
    motor=['diffusers', 'audioldm', 'otro', ''],
    planificador=['dpm', 'ddim', 'otro', ''],
    pesos=['1', '1,1', '1,,2', 'a', '0,0', *NUMEROS],
    **dict.fromkeys(
        (
            'peso_texto',
            'segundos',
            'ventana',
            'pasos',
            'guia',
            'semilla',
            'elegir',
            'num_audios',
            'fuerza',
            'nada',
            'p',
        ),
        NUMEROS,
    ),
)
INGLES = re.compile(
    r'\b(error|invalid|expected|argument|unrecognized|required|Traceback|No such|not found|cannot|must be|'
    r'File|Path|Format|has an|is not|supported)\b'
)
AJENO = re.compile(
    r"\([^)]*\)|«[^»]*»|'[^']*'"
)  # entre paréntesis, lo que dijo una biblioteca; entre comillas, lo que dio el usuario
CASOS = 1200 if os.environ.get('IMG2AUDIO_LARGO') == '1' else 120


def argumentos(azar: random.Random) -> list[str]:
    "Una línea de órdenes disparatada; o buena, con un par de opciones al azar."
    buena = azar.random() < 0.5
    imagenes = (
        ['🐓', '--segundos', '1', '--pasos', '1']
        if buena
        else azar.choices(['🐓', str(DIBUJO), *TEXTOS], k=azar.choice([0, 1, 1, 2]))
    )
    cuales = azar.sample(list(OPCIONES), azar.choice([1, 1, 2]) if buena else azar.choice([0, 1, 2, 3]))
    cuantos = [1] if buena else [1, 1, 1, 1, 0, 2]
    valores = [
        x for o in cuales for x in [('-' if o == 'o' else '--') + o, *azar.choices(OPCIONES[o], k=azar.choice(cuantos))]
    ]
    return [
        *imagenes,
        *valores,
        *azar.choices(
            ['--permitir_red_local', '--permitir_red_local=1', '--pdb=1', '-h', '--', '--xtra'], k=azar.random() < 0.1
        ),
    ]


@pytest.mark.filterwarnings('ignore:.*found in sys.modules')
@pytest.mark.parametrize('semilla', range(6))
def test_argumentos_al_azar(semilla, tmp_path, monkeypatch, apuntar):
    """Estado 0, 1 o 2; si no es 0, algo se dice, en español y en la última línea;
    y no se escribe fuera de la carpeta en la que se está."""
    azar = random.Random(semilla)
    monkeypatch.setenv('HF_HUB_OFFLINE', '1')
    for _ in range(CASOS // 6):
        (aqui := tmp_path / 'aqui').mkdir()
        monkeypatch.chdir(aqui)
        (aqui / 'carpeta').mkdir()
        (aqui / 'rota.png').write_bytes(DIBUJO.read_bytes()[:200])
        (aqui / 'texto.png').write_text('no soy una imagen')
        monkeypatch.setattr(sys, 'argv', ['img2audio', *(args := argumentos(azar))])
        monkeypatch.setattr(
            sys, 'stderr', error := io.TextIOWrapper(io.BytesIO(), encoding='utf-8', errors='backslashreplace')
        )  # como el de verdad
        monkeypatch.setattr(sys, 'stdin', io.TextIOWrapper(io.BytesIO(b'no soy una imagen')))  # la de «-»
        try:
            runpy.run_module('img2audio.puertas.orden', run_name='__main__', alter_sys=True)
            estado = 0
        except SystemExit as e:
            estado = e.code or 0
        except Exception as e:
            pytest.fail(f'{args}: {type(e).__name__}: {e}')
        error.flush()
        dicho = error.buffer.getvalue().decode()
        assert estado in (0, 1, 2), (args, estado)
        assert 'Traceback' not in dicho, (args, dicho)
        if estado:
            assert dicho.strip() and not INGLES.search(AJENO.sub('', dicho.strip().splitlines()[-1])), (args, dicho)
        assert [f.name for f in tmp_path.iterdir()] == ['aqui'], args
        shutil.rmtree(aqui)
        apuntar()
