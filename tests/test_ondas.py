"Los sonidos, contra lo que se sabe de ellos: librosa, un seno, el decibelio y los bordes de lo que se lee."

import io
from types import SimpleNamespace

import librosa
import numpy as np
import pytest
import soundfile
import torch

from img2audio.comun.sonidos import (
    BANDAS,
    FRECUENCIA,
    FRECUENCIAS_MP3,
    SALTO,
    SUELO,
    VENTANA,
    Sonido,
    SonidoInvalido,
    _a_mono,
    _le_faltan_datos,
    _motivo,
    espectro,
    leer_audio,
    log_mel,
    nivel_db,
    nivelar,
    onda_valida,
    ondas_validas,
)

RUIDO = np.random.default_rng(0).normal(0, 0.1, 8000).astype(np.float32)


def seno(hz: float, amplitud: float = 1.0, segundos: float = 1.0, frecuencia: int = FRECUENCIA) -> np.ndarray:
    t = np.arange(round(segundos * frecuencia)) / frecuencia
    return (amplitud * np.sin(2 * np.pi * hz * t)).astype(np.float32)


# Lo que se lee
def diario(frames, samplerate=48_000, channels=1, format='WAV', extra_info='') -> SimpleNamespace:
    return SimpleNamespace(**locals())


@pytest.mark.parametrize(
    'hz, canales, caben',
    [
        (48_000, 1, 28_800_000),
        (48_000, 2, 28_800_000),
        (8_000, 1, 4_800_000),
        (192_000, 1, 28_800_000),
        (48_000, 4, 14_400_000),
    ],
)
def test_diez_minutos_y_ni_una_muestra_mas(hz, canales, caben):
    assert _motivo(diario(caben, hz, canales)) is None
    assert 'demasiado largo' in _motivo(diario(caben + 1, hz, canales))


def test_de_que_frecuencias_se_lee():
    for hz in (1000, 192_000):
        assert _motivo(diario(1, hz)) is None
    for hz in (999, 192_001):
        assert 'frecuencia' in _motivo(diario(1, hz))
    assert 'ninguna muestra' in _motivo(diario(0)) and 'AIFF' in _motivo(diario(1, format='AIFF'))


@pytest.mark.parametrize(
    'dice, trae, corto',
    [
        (1000, 990, False),
        (1000, 989, True),
        (1000, 2000, False),
        (1, 0, True),
        (0, 0, False),
        (2**32 - 1, 8, False),
        (2**32 - 2, 8, True),
    ],
)
def test_a_un_wav_le_faltan_datos(dice, trae, corto):
    "Si falta más de un 1 %; con 0 o 2³² − 1, quien lo escribió no lo sabía."
    motivo = _le_faltan_datos(f'algo\ndata : {dice} (should be {trae})\n')
    assert (motivo is not None) == corto
    assert not corto or f'{dice} bytes y trae {trae}' in motivo
    assert _le_faltan_datos('data : 8') is None


def test_los_canales_se_promedian_salvo_que_se_anulen():
    a, b = seno(440, 0.5), seno(700, 0.2)
    assert np.allclose(_a_mono(np.stack([a, b], 1), 'x'), (a + b) / 2)
    assert np.allclose(_a_mono(np.stack([a, 0 * a], 1), 'x'), a / 2)
    assert np.allclose(_a_mono(np.stack([a, -0.7 * a], 1), 'x'), 0.15 * a)  # queda el 2 % de la potencia
    with pytest.warns(UserWarning, match='contrafase'):
        sale = _a_mono(np.stack([-0.9 * a, a], 1), 'x')  # queda el 0,25 %
    assert np.array_equal(sale, a)


def test_leer_a_otra_frecuencia(tmp_path):
    "Como `librosa`; y a la que ya tiene, sin tocar."
    soundfile.write(tmp_path / 'a.wav', seno(1000, 0.5, frecuencia=44_100), 44_100, subtype='FLOAT')
    for hz in (8000, FRECUENCIA):
        debe, _ = librosa.load(tmp_path / 'a.wav', sr=hz)
        assert np.abs(leer_audio(tmp_path / 'a.wav', hz) - debe).max() < 1e-5
    assert np.array_equal(leer_audio(tmp_path / 'a.wav', 44_100), seno(1000, 0.5, frecuencia=44_100))


def test_hasta_diez(tmp_path):
    for pico, vale in ((10, True), (-10, True), (10.1, False), (-10.1, False)):
        soundfile.write(tmp_path / 'a.wav', np.array([0, pico, 0.0]), FRECUENCIA, subtype='FLOAT')
        if vale:
            assert leer_audio(tmp_path / 'a.wav')[1] == pico
        else:
            with pytest.raises(SonidoInvalido, match='más de 10'):
                leer_audio(tmp_path / 'a.wav')


def test_una_onda_o_una_lista():
    assert len(ondas_validas(np.zeros((2, 5)))) == 2 and len(ondas_validas([RUIDO, RUIDO[:3]])) == 2
    assert len(ondas_validas(np.array([RUIDO, RUIDO[:3]], dtype=object))) == 2
    for una in (RUIDO, torch.zeros(5), 3):
        pytest.raises(TypeError, ondas_validas, una).match('llegó una sola')
    with pytest.raises(ValueError, match='El sonido 1 de la lista'):
        ondas_validas([RUIDO, RUIDO[:0]])
    with pytest.raises(ValueError, match=r'muestra\.$'):
        onda_valida(RUIDO[:0])
    for mala in (np.zeros((5, 2)), np.float32(1)):
        pytest.raises(ValueError, onda_valida, mala).match('onda mono')


# El log-mel
def test_el_log_mel_es_el_de_librosa():
    margen = (VENTANA - SALTO) // 2
    x = seno(1000, 0.3, 0.5) + RUIDO
    mel = librosa.feature.melspectrogram(
        y=np.pad(x, margen, mode='reflect'),
        sr=16_000,
        n_fft=1024,
        hop_length=160,
        window='hann',
        center=False,
        power=1,
        n_mels=64,
        fmin=0,
        fmax=8000,
    )
    assert np.abs(log_mel(torch.from_numpy(x)).numpy().T - np.log(mel.clip(1e-5))).max() < 1e-3
    assert espectro(torch.from_numpy(x)[None]).shape == (1, 513, 50)


def test_el_silencio_esta_en_el_suelo():
    assert torch.allclose(log_mel(torch.zeros(1600)), torch.tensor(SUELO).log())
    assert SUELO == pytest.approx(1e-5) and log_mel(torch.zeros(2, 1600)).shape == (2, 10, BANDAS)


# El nivel
@pytest.mark.parametrize('amplitud', [1.0, 0.1, 0.001])
@pytest.mark.parametrize('frecuencia', [8000, 16_000, 44_100])
def test_nivel_de_un_seno(amplitud, frecuencia):
    "20 log₁₀ de su valor eficaz, A/√2; igual si dura menos de un segundo, o si lo rodea el silencio."
    x = seno(100, amplitud, frecuencia=frecuencia)
    debe = 20 * np.log10(amplitud / 2**0.5)
    for onda in (x, x[: frecuencia // 2], np.r_[np.zeros(frecuencia), x, np.zeros(7)]):
        assert nivel_db(onda, frecuencia) == pytest.approx(debe, abs=0.01)


def test_nivel_del_silencio():
    assert nivel_db(np.zeros(100)) == pytest.approx(-200)


def test_nivelar_sube_lo_que_dice_y_funde_diez_milisegundos():
    for frecuencia in (FRECUENCIA, 48_000):
        x = np.full(frecuencia, 0.05, np.float32)
        sale, fundido = nivelar(Sonido(x, frecuencia), -12).muestras, frecuencia // 100
        nivel = 10 ** (-12 / 20)
        assert np.allclose(sale[fundido:-fundido], nivel, rtol=1e-5)
        assert np.allclose(sale[:fundido], nivel * np.linspace(0, 1, fundido), atol=1e-5)
        assert np.array_equal(sale, sale[::-1])
    assert nivelar(Sonido(np.full(3, 0.1, np.float32))).muestras[[0, -1]].tolist() == [0, 0]  # no cabe el fundido
    assert np.abs(nivelar(Sonido(np.full(FRECUENCIA, 0.1, np.float32)), 20).muestras).max() == pytest.approx(0.99)


def test_nivelar_no_sube_lo_que_no_se_oye():
    for db, igual in ((-91, True), (-89, False)):
        s = Sonido(np.full(FRECUENCIA, 10 ** (db / 20), np.float32))
        assert (nivelar(s) is s) == igual


# Los archivos
def test_las_frecuencias_del_mp3_son_las_que_hay():
    "Las que el codificador admite, y ninguna más: las de MPEG 1, 2 y 2.5."

    def cabe(hz):
        try:
            soundfile.write(io.BytesIO(), RUIDO, hz, format='MP3')
        except soundfile.LibsndfileError:
            return False
        return True

    assert all(map(cabe, FRECUENCIAS_MP3)) and not any(cabe(hz + 1) for hz in FRECUENCIAS_MP3)
    for hz in FRECUENCIAS_MP3:
        assert soundfile.info(io.BytesIO(Sonido(RUIDO, hz).codificar('mp3'))).samplerate == hz


def test_ida_y_vuelta():
    "Del WAV y del FLAC vuelve lo mismo; del OGG, que se escribe por partes, sin saltos en las juntas."
    x = seno(300, 0.5, 2.5)
    for formato, tope in (('wav', 1e-4), ('flac', 1e-4), ('ogg', 0.05)):
        y, hz = soundfile.read(io.BytesIO(Sonido(x).codificar(formato)))
        assert hz == FRECUENCIA and len(y) == len(x) and np.abs(y - x).max() < tope, formato


def test_lo_que_es_un_sonido():
    assert Sonido(RUIDO, 1).segundos == 8000 and Sonido(RUIDO, 8000).segundos == 1
    for hz in (0, -1):
        pytest.raises(ValueError, Sonido, RUIDO, hz).match('positiva')
    with pytest.raises(TypeError, match='int64'):
        Sonido(np.arange(5))
