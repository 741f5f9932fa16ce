"`leer_audio` ante lo que no es un sonido entero: las muestras, o `SonidoInvalido`."

import os
import random
import re
import struct
import time
import warnings
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from img2audio.comun import sonidos
from img2audio.comun.sonidos import SonidoInvalido, leer_audio

# Más largo que un bloque de cualquier códec
TONO = (np.sin(np.arange(40_000) * 0.05) * np.linspace(0.1, 0.6, 40_000)).astype(np.float32)
DOCUMENTADO = re.compile(
    '«.*» (no se puede leer|no es un sonido|está cortado|trae muestras sin sentido|no es un archivo|pesa más)|'
    'Se esperaba|No hay permiso',
    re.DOTALL,
)
CORTES, DAÑOS, INVENTADOS = 40, 60, 100


@pytest.fixture(scope='module')
def sanos(tmp_path_factory) -> dict[str, bytes]:
    "Un sonido de cada clase que se promete leer."
    d = tmp_path_factory.mktemp('sanos')
    clases = {
        'wav': ('WAV', 'PCM_16'),
        'wav-8': ('WAV', 'PCM_U8'),
        'wav-24': ('WAV', 'PCM_24'),
        'wav-coma': ('WAV', 'FLOAT'),
        'wav-doble': ('WAV', 'DOUBLE'),
        'wav-ext': ('WAVEX', 'PCM_16'),
        'flac': ('FLAC', 'PCM_16'),
        'ogg': ('OGG', 'VORBIS'),
        'opus': ('OGG', 'OPUS'),
        'mp3': ('MP3', 'MPEG_LAYER_III'),
    }
    for n, (formato, subtipo) in clases.items():
        soundfile.write(
            d / n, np.stack([TONO, TONO[::-1]], 1) if n == 'wav-ext' else TONO, 16_000, format=formato, subtype=subtipo
        )
    return {n: (d / n).read_bytes() for n in clases}


@pytest.fixture(scope='module', autouse=True)
def estrenado(tmp_path_factory):
    "La primera vez se cargan las bibliotecas, y su tiempo no es el de leer."
    archivo = tmp_path_factory.mktemp('estreno') / 'x.wav'
    soundfile.write(archivo, TONO, 44_100)
    leer_audio(archivo)


def leer(archivo: Path, datos: bytes | None = None) -> np.ndarray | None:
    "Las muestras, o `None` si se negó como debe."
    if datos is not None:
        archivo.write_bytes(datos)
    inicio = time.thread_time()
    try:
        onda = leer_audio(archivo)
    except SonidoInvalido as e:
        assert DOCUMENTADO.match(str(e)) and len(str(e)) < 600
        onda = None
    assert time.thread_time() - inicio < 3
    if onda is None:
        return None
    assert (
        onda.ndim == 1
        and onda.dtype == np.float32
        and len(onda)
        and np.isfinite(onda).all()
        and np.abs(onda).max() < 30
    )
    return onda


def test_los_sanos_se_leen(sanos, tmp_path, apuntar):
    for n, datos in sanos.items():
        onda = leer(tmp_path / n, datos)
        debe = (TONO + TONO[::-1]) / 2 if n == 'wav-ext' else TONO
        assert onda is not None and abs(len(onda) - len(debe)) <= 1, n
        assert np.corrcoef(onda, debe[: len(onda)])[0, 1] > 0.98, n
        if n != 'opus':
            assert np.abs(onda - debe[: len(onda)])[1200:-1200].max() < (0.06 if n in ('ogg', 'mp3') else 0.01), (
                n
            )  # tampoco en las juntas de los bloques
        apuntar()


def test_cortado(sanos, tmp_path, apuntar):
    """Un WAV, un FLAC o un MP3 con índice dicen cuánto traen: si falta más de un 1 %, no se leen.

    Y lo que se lea cortado es el principio del entero."""
    for n, datos in sanos.items():
        entero = leer(tmp_path / n, datos)
        for k in np.linspace(0, len(datos) - 1, CORTES).astype(int):
            onda = leer(tmp_path / n, datos[:k])
            if n.startswith(('wav', 'flac', 'mp3')):
                assert onda is None or len(onda) >= 0.99 * len(entero), (n, k)
            if onda is not None:
                assert np.abs(onda - entero[: len(onda)])[:-1200].max(initial=0) < 0.02, (n, k)
            apuntar()


def test_estropeado(sanos, tmp_path, apuntar):
    "Bytes cambiados, quitados, repetidos y en blanco, con semilla fija; la mitad, en la cabecera."
    for n, datos in sanos.items():
        azar, leidos = random.Random(f'img2audio {n}'), 0
        for _ in range(DAÑOS):
            d = bytearray(datos)
            for _ in range(azar.choice((1, 2, 5))):
                i, m = (
                    azar.randrange(len(d)) if azar.random() < 0.5 else azar.randrange(min(len(d), 80)),
                    azar.choice((1, 2, 4, 32)),
                )
                match azar.randrange(5):
                    case 0:
                        d[i : i + m] = azar.randbytes(m)
                    case 1:
                        d[i : i + 4] = struct.pack('<I', azar.choice((0, 1, 2**16 - 1, 2**31 - 1, 2**31, 2**32 - 1)))
                    case 2:
                        del d[i : i + m]
                    case 3:
                        d[i:i] = d[i : i + m]
                    case 4:
                        d[i : i + m] = bytes(len(d[i : i + m]))
            leidos += leer(tmp_path / n, bytes(d)) is not None
            apuntar()
        assert leidos < DAÑOS, n


def test_inventado(tmp_path, apuntar):
    firmas, veces = (
        [
            b'',
            b'RIFF\x24\0\0\0WAVEfmt ',
            b'fLaC\0\0\0\x22',
            b'OggS\0\2',
            b'ID3\3\0\0\0\0\0\0',
            b'\xff\xfb\x90\0',
            b'FORM\0\0\0\x20AIFF',
            b'.snd',
        ],
        0,
    )

    @given(st.sampled_from(firmas), st.binary(max_size=300))
    @settings(
        max_examples=INVENTADOS, derandomize=True, database=None, deadline=None, suppress_health_check=list(HealthCheck)
    )
    def uno(firma, resto):
        nonlocal veces
        veces += 1
        leer(tmp_path / 'x', firma + resto)

    uno()
    apuntar(veces)


def wav(frecuencia: int, canales: int, bits: int, datos: bytes, clase: int = 1, largo: int | None = None) -> bytes:
    largo = len(datos) if largo is None else largo
    return (
        b'RIFF'
        + struct.pack('<I', min(36 + largo, 2**32 - 1))
        + b'WAVEfmt '
        + struct.pack(
            '<IHHIIHH',
            16,
            clase,
            canales,
            frecuencia,
            frecuencia * canales * bits // 8 % 2**32,
            canales * bits // 8,
            bits,
        )
        + b'data'
        + struct.pack('<I', largo)
        + datos
    )


def coma(*muestras) -> bytes:
    return wav(16_000, 1, 32, np.float32(muestras).tobytes(), clase=3)


MALOS = {
    'vacío': (b'', 'no es un sonido'),
    'texto': (b'hola', 'no es un sonido'),
    'sin muestras': (wav(16_000, 1, 16, b''), 'ninguna muestra'),
    'NaN': (coma(0.1, np.nan), 'NaN'),
    'infinito': (coma(0.1, -np.inf), 'NaN'),
    'escala de 16 bits': (coma(0.1, 30_000), 'de más de 10'),
    'suma que rebosa': (wav(16_000, 2, 32, np.float32([3e38, 3e38]).tobytes(), clase=3), 'NaN'),
    '1 Hz': (wav(1, 1, 16, bytes(200)), '1 Hz'),
    'dos gigahercios': (wav(2 * 10**9, 1, 16, bytes(200)), '2000000000 Hz'),
    'once minutos': (wav(8000, 1, 8, b'\x80' * (8000 * 661)), 'demasiado largo'),
    'a medias': (wav(16_000, 1, 16, bytes(2000), largo=4000), 'cortado'),
    'AIFF': (b'', 'se leen WAV'),
    'silencio de horas': (b'', 'demasiado largo'),
    'una imagen': (b'\x89PNG\r\n\x1a\n' + bytes(99), 'no es un sonido'),
}


@pytest.mark.parametrize('caso', MALOS)
def test_malo(caso, tmp_path, apuntar):
    datos, dice = MALOS[caso]
    f = tmp_path / 'x'
    f.write_bytes(datos)
    if caso == 'AIFF':
        soundfile.write(f, TONO, 16_000, format='AIFF')
    if caso == 'silencio de horas':  # medio megabyte
        with soundfile.SoundFile(f, 'w', 16_000, 1, format='FLAC') as s:
            for _ in range(20):
                s.write(np.zeros(16_000 * 60, np.int16))
        assert f.stat().st_size < 2**20
    with pytest.raises(SonidoInvalido, match=dice):
        leer_audio(f)
    apuntar()


def test_se_acepta(tmp_path, apuntar):
    """Lo que no es un daño: la longitud sin decir de un WAV escrito sobre la marcha, un pico algo mayor que 1,
    una sola muestra y muchos canales."""
    casos = (
        wav(16_000, 1, 16, bytes(2000), largo=2**32 - 1),
        coma(0.1, 1.2),
        wav(44_100, 1, 16, bytes(2)),
        wav(16_000, 64, 16, bytes(128 * 50)),
    )
    for datos, n in zip(casos, (1000, 2, 1, 50), strict=True):
        assert len(leer(tmp_path / 'x', datos)) == n
        apuntar()


def test_mp3_con_portada_y_sin_indice(tmp_path, apuntar):
    """Sin el índice de su primera trama, y con una imagen delante, libsndfile estima de más el largo de un MP3:
    no por eso está cortado."""
    soundfile.write(tmp_path / 'x.mp3', TONO, 16_000, format='MP3', bitrate_mode='CONSTANT')
    datos = (tmp_path / 'x.mp3').read_bytes()
    segunda = datos.index(datos[:2], 100)
    onda = leer(tmp_path / 'x.mp3', b'ID3\3\0\0\0\0\x40\0' + bytes(8192) + datos[segunda:])
    assert onda is not None and len(onda) > 16_000
    apuntar()


def test_rutas(tmp_path, apuntar):
    os.mkfifo(tmp_path / 'tubería.wav')
    with open(tmp_path / 'enorme.wav', 'wb') as f:
        f.truncate(sonidos.MAX_BYTES_SONIDO + 1)
    for ruta, dice in (
        (tmp_path / 'nada.wav', 'No existe el archivo'),
        (tmp_path, 'carpeta'),
        (tmp_path / 'tubería.wav', 'no es un archivo'),
        (tmp_path / 'enorme.wav', 'pesa más de 128 MiB'),
        ('a\0b.wav', 'No existe'),
        ('ñ' * 5000, 'No existe'),
        (None, 'llegó NoneType'),
        (3, 'llegó int'),
    ):
        with pytest.raises((SonidoInvalido, FileNotFoundError), match=dice):
            leer_audio(ruta)
        apuntar()


def test_en_contrafase(tmp_path, apuntar):
    "Dos canales que se anulan no son silencio: se oye uno, y se avisa. Los que no se anulan dan su media, sin aviso."
    tono = np.sin(np.arange(16_000) * 0.2).astype(np.float32) * 0.5
    azar = np.random.default_rng(0).normal(0, 0.1, (16_000, 2)).astype(np.float32)
    soundfile.write(tmp_path / 'contra.wav', np.stack([tono, -tono], 1), 16_000)
    with pytest.warns(UserWarning, match='se anulan'):
        onda = leer_audio(tmp_path / 'contra.wav')
    assert np.abs(np.abs(onda) - np.abs(tono)).max() < 1e-3
    apuntar()
    for canales in (np.stack([tono, 0 * tono], 1), azar, 0 * azar, np.stack([tono, 0.5 * tono], 1)):
        soundfile.write(tmp_path / 'otro.wav', canales, 16_000, subtype='FLOAT')
        with warnings.catch_warnings():
            warnings.simplefilter('error')
            np.testing.assert_allclose(leer_audio(tmp_path / 'otro.wav'), canales.mean(1), atol=1e-6)
        apuntar()
