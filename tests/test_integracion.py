"La tubería ante lo que se le pide de verdad: textos, sonidos de partida, guías, semillas y avisos."

import copy
import io
import json
import os
import resource
import shutil
import subprocess
import sys
import unicodedata
import warnings
from dataclasses import replace

import datasets
import numpy as np
import pytest
import soundfile
import torch
from diffusers import DDIMScheduler, DPMSolverMultistepScheduler, UNet2DConditionModel
from transformers.utils import logging as registro

from img2audio.comun.difusion import (
    comprobar_tensores,
    de_guia,
    generadores,
    instantes,
    opciones,
    planificador,
    por_ventanas,
)
from img2audio.comun.imagenes import abrir_imagen
from img2audio.comun.perfiles import OYE_OTRO, PERFILES, Perfil
from img2audio.comun.sistema import GUIA, recoger_avisos
from img2audio.comun.sonidos import FORMATOS, FRECUENCIA, FRECUENCIAS_MP3, Sonido, log_mel
from img2audio.embeddings import CodificadorCLAP, CodificadorCLIP
from img2audio.integracion import (
    TuberiaImg2Audio,
    _cargar,
    cargar_tuberia,
    comprobar_pedido,
    condicion_sonido,
    generar,
    mas_cercanas,
    parecido_clap,
    slerp,
    sonorizar,
)
from img2audio.puertas.atender import sonorizar_lote
from img2audio.puertas.variaciones import continuar, rellenar
from img2audio.taller.guia import con_guia_dentro

CORTO = dict(segundos=0.64, pasos=2, progreso=False)


@pytest.fixture(scope='module')
def tuberia():
    return cargar_tuberia()


def test_dice_lo_que_ve(tuberia, monkeypatch):
    "El nombre de lo que se ve, suene o no; sin nombres no hay aviso, ni se inventa ninguno."
    for emoji, nombre in {'🐓': 'gallo', '🔥': 'fuego', '🌊': 'ola de mar'}.items():
        (dicho, coseno), *otros = tuberia.se_parece_a(emoji)
        assert dicho == nombre and 1 > coseno > max(c for _, c in otros)
    with recoger_avisos() as avisos:
        tuberia.condicion_imagen('🎻')
    assert len(avisos) == 1 and tuberia.se_parece_a('🎻', 1)[0][0] in str(avisos[0])
    monkeypatch.setattr(tuberia, 'nombres', None)
    assert tuberia.se_parece_a('🐓') == []
    with recoger_avisos() as avisos:
        tuberia.condicion_imagen('🎻')
    assert avisos == []


@pytest.fixture(scope='module')
def dado():
    "Un sonido de partida."
    return Sonido(np.random.default_rng(0).normal(0, 0.1, 10_240).astype(np.float32))


def tono(frecuencia: int, segundos: float = 1.0) -> Sonido:
    t = np.arange(round(segundos * frecuencia)) / frecuencia
    return Sonido((0.5 * np.sin(2 * np.pi * 440 * t)).astype(np.float32), frecuencia)


def suena_igual(a: np.ndarray, b: np.ndarray, hasta: float = 1e-3) -> bool:
    "Lo mismo, y no por estar los dos en silencio."
    return np.abs(b).max() > 0.01 and np.abs(a - b).max() < hasta


@pytest.mark.parametrize('texto', ['lluvia', 'un helicóptero', 'un perro ladra'])
def test_el_texto_da_igual_como_se_escriba(tuberia, texto):
    debe = tuberia.condicion_texto(texto)
    nfd = unicodedata.normalize('NFD', texto)
    for otro in (texto.upper(), texto.capitalize(), nfd, f'¡{texto}!', f'  {texto} '):
        assert torch.cosine_similarity(tuberia.condicion_texto(otro), debe).item() >= 0.99, otro


def test_avisos_de_los_textos(tuberia):
    with recoger_avisos() as avisos:
        tuberia.condicion_texto('雨が降る')
        tuberia.condicion_texto('un perro ladra y ' * 40)
    assert len(avisos) == 2 and 'apenas sabe leer' in avisos[0] and 'demasiado largo' in avisos[1]


def test_los_avisos_de_otros_no_se_pierden():
    with warnings.catch_warnings(record=True) as otros:
        warnings.simplefilter('always')
        with recoger_avisos() as avisos:
            warnings.warn('de otra biblioteca', RuntimeWarning, stacklevel=1)
    assert avisos == [] and [(str(a.message), a.category) for a in otros] == [('de otra biblioteca', RuntimeWarning)]
    assert otros[0].filename == __file__


def test_el_aviso_de_un_texto_esta_en_el_lote():
    (r,) = sonorizar_lote(['🌧'], '雨が降る', **CORTO)
    assert r.error is None and 'apenas sabe leer' in r.aviso


@pytest.mark.parametrize('texto', [' ', '\n\t', '\u3000'])
def test_un_texto_en_blanco_se_dice(texto):
    with pytest.raises(ValueError, match='en blanco'):
        sonorizar(texto=texto, **CORTO)
    with pytest.raises(ValueError, match='en blanco'):
        sonorizar('🌧', texto_negativo=texto, **CORTO)


# De un sonido, varios
def test_varios_de_un_sonido_son_los_de_su_semilla(dado):
    varios = sonorizar('🌧', sonido=dado, num_audios=3, **CORTO)
    for s in varios:
        solo = sonorizar('🌧', sonido=dado, semilla=s.semilla, **CORTO)
        assert np.abs(s.muestras - solo.muestras).max() < 1e-3
    assert np.abs(varios[0].muestras - varios[1].muestras).max() > 0.01


def test_el_mejor_de_varios_de_un_sonido(dado):
    mejor = sonorizar('🌧', sonido=dado, elegir_mejor_de=2, **CORTO)
    assert np.abs(mejor.muestras - sonorizar('🌧', sonido=dado, semilla=mejor.semilla, **CORTO).muestras).max() < 1e-3


def test_rellenar_y_continuar_dan_varios(tuberia, dado):
    for f, args in ((rellenar, (0.2, 0.4)), (continuar, (0.32,))):
        uno = f(tuberia, dado, *args, texto='lluvia', pasos=2, generator=generadores(6, 1))[0]
        dos = f(tuberia, dado, *args, texto='lluvia', pasos=2, n=2, generator=generadores(5, 2))
        assert len(dos) == 2 and np.abs(dos[1].muestras - uno.muestras).max() < 1e-3


def test_un_lote_de_un_sonido(dado):
    salen = sonorizar_lote(['🌧', '🐓'], sonido=dado, **CORTO)
    for r, x in zip(salen, '🌧🐓', strict=True):
        assert r.error is None and np.abs(r.sonido.muestras - sonorizar(x, sonido=dado, **CORTO).muestras).max() < 1e-3


def test_un_sonido_demasiado_largo_no_llega_al_vae(tuberia, monkeypatch):
    monkeypatch.setattr(TuberiaImg2Audio, 'a_latente', lambda *_: pytest.fail('ha llegado'))
    with pytest.raises(ValueError, match='65.00 s'):
        tuberia(texto='lluvia', sonido=tono(FRECUENCIA, 65))


def test_continuar_dice_lo_que_se_le_pidio(tuberia):
    with pytest.raises(ValueError, match='añadir 58 s'):
        continuar(tuberia, tono(FRECUENCIA, 3), 58, texto='lluvia')


# Números
def test_la_guia_por_debajo_de_uno(tuberia):
    "Con 0, como si no se pidiera nada; con 0,5, a medio camino: lo que se prevé es lineal en la guía."
    e = tuberia.condicion_texto('lluvia')
    x = torch.randn(tuberia.forma_latente(1, 0.64), generator=generadores(0, 1)[0])
    nulo = tuberia.condicion_texto('')
    with torch.inference_mode():
        prevista = {g: tuberia._prever(x, torch.tensor(500), e, nulo, g) for g in (0, 0.5, 1)}
        sola = tuberia._prever(x, torch.tensor(500), nulo, nulo, 1)
    assert (prevista[0] - sola).abs().max() < 1e-4
    assert (prevista[0.5] - (prevista[0] + prevista[1]) / 2).abs().max() < 1e-4

    def sonar(texto, guia):
        return tuberia(texto=texto, guia=guia, generator=generadores(0, 1), segundos=0.64, pasos=2)[0]

    assert np.abs(sonar('lluvia', 0).muestras - sonar('', 1).muestras).max() < 1e-3
    assert np.abs(sonar('lluvia', 0).muestras - sonar('lluvia', 1).muestras).max() > 0.01


@pytest.fixture(scope='module')
def con_y_sin(tuberia) -> dict:
    "La tubería con un UNet que lleva la guía dentro, y con uno que no; de pesos al azar."
    sin = UNet2DConditionModel.from_config(tuberia.unet.config, time_cond_proj_dim=None).eval()
    con = con_guia_dentro(sin).eval()
    torch.nn.init.normal_(con.time_embedding.cond_proj.weight)
    return {
        nombre: TuberiaImg2Audio(**tuberia.components | dict(unet=u)) for nombre, u in dict(con=con, sin=sin).items()
    }


def oir_unet(tuberia, **pedido) -> list[tuple]:
    "De cada llamada al UNet, cuántos latentes ve y lo que se le dice de la guía."
    vistas = []

    def apuntar(red, entra, palabras, sale):
        vistas.append((len(sale.sample), palabras.get('timestep_cond')))

    gancho = tuberia.unet.register_forward_hook(apuntar, with_kwargs=True)
    try:
        tuberia(texto='un gallo', segundos=0.64, pasos=2, barra=dict(disable=True), **pedido)
    finally:
        gancho.remove()
    return vistas


@pytest.mark.parametrize(
    'cual, pedido, latentes',
    [
        ('sin', {}, 2),
        ('sin', dict(guia=1.0), 1),
        ('con', {}, 1),
        ('con', dict(guia=1.0), 1),
        ('con', dict(guia=5.0), 1),
        ('con', dict(guia=7.0), 2),  # más de la que aprendió
        ('con', dict(guia=0.5), 2),
        ('con', dict(texto_negativo='lluvia'), 2),
        ('con', dict(negative_prompt_embeds=torch.ones(1, 512)), 2),
    ],
)
def test_la_guia_dentro_se_pregunta_una_vez(con_y_sin, cual, pedido, latentes):
    "Y dos, si la red no la lleva, si no la aprendió, o si hay un negativo."
    vistas = oir_unet(con_y_sin[cual], **pedido)
    assert [n for n, _ in vistas] == [latentes] * 2
    dicho = de_guia(pedido.get('guia', GUIA) if latentes == 1 else 1.0, 16)
    for _, cuanta in vistas:
        assert cuanta is None if cual == 'sin' else torch.equal(cuanta, dicho.expand(latentes, -1))


def test_fuera_del_intervalo_no_se_guia(con_y_sin):
    "Tampoco por dentro: al segundo de dos pasos se le dice que no hay guía."
    (_, primera), (_, segunda) = oir_unet(con_y_sin['con'], intervalo_guia=(0.0, 0.5))
    assert torch.equal(primera, de_guia(GUIA, 16)) and torch.equal(segunda, torch.zeros(1, 16))


@pytest.mark.parametrize('fuerza', [0.25, 0.5, 0.8])
def test_rehacer_empieza_con_el_ruido_de_su_paso(tuberia, dado, monkeypatch, fuerza):
    "Con `fuerza=.5` se parte de la mitad del camino, y con el ruido que ahí toca: el de la ᾱ de ese paso."
    c, pasos, vistos = tuberia.scheduler.config, 8, []
    assert c.beta_schedule == 'scaled_linear'
    betas = np.linspace(c.beta_start**0.5, c.beta_end**0.5, c.num_train_timesteps) ** 2
    alfas = np.cumprod(1 - betas)

    def prever(self, x, t, **_):
        vistos.append((x.clone(), int(t)))
        return torch.zeros_like(x)

    monkeypatch.setattr(TuberiaImg2Audio, '_prever', prever)
    z, ruido = tuberia.a_latente(dado), torch.randn(tuberia.forma_latente(1, 0.64), generator=generadores(0, 1)[0])
    tuberia(texto='lluvia', sonido=dado, latents=ruido, pasos=pasos, guia=1.0, fuerza=fuerza, output_type='latent')
    x, t = vistos[0]
    assert len(vistos) == pasos and abs(t / c.num_train_timesteps - fuerza) < 0.05
    assert (x - (alfas[t] ** 0.5 * z + (1 - alfas[t]) ** 0.5 * ruido)).abs().max() < 1e-4


@pytest.mark.parametrize('largo, ventana', [(64, 16), (50, 16), (33, 32), (20, 7)])
def test_las_ventanas_son_una_media(largo, ventana):
    "Si todas prevén lo mismo, sale eso; si no, en cada trama, la media de las que la cubren, y pesa más su centro."
    inicios = []

    def una(que):
        def prever(x):
            inicios.append(int(x[0, 0, 0, 0]))
            return que(x)

        inicios.clear()
        return por_ventanas(prever, tramas, ventana)

    tramas = torch.arange(largo, dtype=torch.float32)[None, None, :, None].expand(1, 2, largo, 4)
    assert (una(lambda x: torch.full_like(x, 3.0)) - 3).abs().max() < 1e-5
    assert (una(lambda x: x) - tramas).abs().max() < 1e-4
    sale = una(lambda x: torch.full_like(x, float(len(inicios))))[0, 0, :, 0]
    assert inicios[0] == 0 and inicios[-1] == largo - ventana
    triangulo = np.minimum(np.arange(1, ventana + 1), np.arange(ventana, 0, -1))
    pesos = np.zeros((len(inicios), largo))
    for k, i in enumerate(inicios):
        pesos[k, i : i + ventana] = triangulo
    debe = (pesos * np.arange(1, len(inicios) + 1)[:, None]).sum(0) / pesos.sum(0)
    assert np.abs(sale.numpy() - debe).max() < 1e-4


def test_la_escala_del_vae_va_y_vuelve(tuberia, dado):
    "Con otra escala, otro latente y el mismo sonido."
    vae = copy.deepcopy(tuberia.vae)
    vae.register_to_config(scaling_factor=0.9)
    otra, suya = TuberiaImg2Audio(**{**tuberia.components, 'vae': vae}), tuberia.vae.config.scaling_factor
    assert suya != 0.9
    z, zz = tuberia.a_latente(dado), otra.a_latente(dado)
    assert (zz / 0.9 - z / suya).abs().max() < 1e-5
    a, b = (t.decodificar(x, dado.segundos)[0].muestras for t, x in ((tuberia, z), (otra, zz)))
    assert np.abs(a - b).max() < 1e-4


def test_float16_en_la_cpu(capfd, caplog):
    "Suena, y lo mismo que en float32; y no se dice en inglés que va a fallar."
    a, b = (sonorizar(texto='lluvia', dtype=d, dispositivo='cpu', **CORTO).muestras for d in ('float32', 'float16'))
    assert np.corrcoef(a, b)[0, 1] > 0.9
    assert 'float16' not in ''.join(capfd.readouterr()) + caplog.text


def test_la_mayor_semilla_vale():
    (ultima,) = generadores(2**64 - 1, 1)
    assert ultima.initial_seed() % 2**64 == 2**64 - 1
    for semilla, n in ((2**64, 1), (2**64 - 1, 2), (-(2**63) - 1, 1)):
        with pytest.raises(ValueError, match='64 bits'):
            generadores(semilla, n)


# La tubería, compartida y al día
def test_callar_una_vez_no_calla_a_la_tuberia(tuberia, capsys):
    tuberia.set_progress_bar_config(disable=False)
    sonorizar('🌧', **CORTO)
    sonorizar_lote(['🌧'], **CORTO)
    assert '/2' not in capsys.readouterr().err
    tuberia(texto='lluvia', segundos=0.64, pasos=2)
    assert '2/2' in capsys.readouterr().err


def test_cargar_no_cambia_las_barras_de_nadie():
    "Ni las de transformers, ni las de datasets, ni lo que cuentan: son del proceso de quien lo usa."
    _cargar.cache_clear()
    antes = registro.get_verbosity(), registro.is_progress_bar_enabled(), datasets.are_progress_bars_disabled()
    cargar_tuberia()
    despues = registro.get_verbosity(), registro.is_progress_bar_enabled(), datasets.are_progress_bars_disabled()
    assert antes == despues


def test_un_traductor_nuevo_se_nota(tmp_path):
    mini = PERFILES['mini']
    shutil.copytree(mini.traductor, tmp_path / 'traductor')
    p = Perfil('propio', mini.clip, mini.clap, mini.audioldm, str(tmp_path / 'traductor'))
    antes = cargar_tuberia(p)
    assert cargar_tuberia(p) is antes
    antes.traductor.register_to_config(temperatura=0.123)
    antes.traductor.save_pretrained(tmp_path / 'traductor')
    assert cargar_tuberia(p) is not antes and cargar_tuberia(p).traductor.config.temperatura == 0.123


# El sonido
@pytest.mark.parametrize('frecuencia', [7_000, 16_000, 44_100, 48_000, 96_000])
def test_un_sonido_de_cualquier_frecuencia(frecuencia, tmp_path):
    "Se guarda y se enseña con lo que dura, y en el dibujo."
    s = tono(frecuencia)
    for f in FORMATOS:
        info = soundfile.info(s.guardar(tmp_path / f's.{f}'))
        assert abs(info.duration - 1) < 0.1 and (f != 'mp3' or info.samplerate in FRECUENCIAS_MP3), f
    assert 'audio/mpeg' in s._repr_html_()
    imagen = s.espectrograma().images[0]
    assert abs(imagen.get_extent()[1] - 1) < 0.03
    debe = tono(FRECUENCIA).espectrograma().images[0]
    centro = slice(20, 80)

    def banda(i):
        return np.asarray(i.get_array()).reshape(i.get_array().shape)[:, centro].argmax(0).mean()

    assert abs(banda(imagen) - banda(debe)) <= 1  # 440 Hz sigue en su banda


def test_una_onda_al_reves():
    onda = tono(FRECUENCIA).muestras
    s = Sonido(onda[::-1])
    assert (s.muestras == onda[::-1]).all()
    s.espectrograma()
    assert len(s.codificar('ogg')) > 1000


def test_ogg_con_una_pila_pequena(tmp_path):
    "Dado de una vez, el codificador de Vorbis gasta una pila que crece con el sonido, y mata al proceso."
    codigo = (
        'import numpy as np; from img2audio.comun.sonidos import Sonido;'
        'x = np.random.default_rng(0).normal(0, .1, 960_000).astype(np.float32);'
        f'Sonido(x).guardar({str(tmp_path / "x.ogg")!r})'
    )

    def poca_pila():
        resource.setrlimit(resource.RLIMIT_STACK, (2**20, resource.getrlimit(resource.RLIMIT_STACK)[1]))

    entorno = {**os.environ, 'OMP_NUM_THREADS': '1', 'HF_HUB_OFFLINE': '1'}
    todo = [sys.executable, '-c', codigo]
    r = subprocess.run(todo, preexec_fn=poca_pila, env=entorno, capture_output=True, text=True)
    assert r.returncode == 0, r.stderr
    onda, _ = soundfile.read(tmp_path / 'x.ogg')
    debe = np.random.default_rng(0).normal(0, 0.1, 960_000)
    assert len(onda) == 960_000 and np.corrcoef(onda, debe)[0, 1] > 0.5


def test_un_jpeg_sin_final_se_avisa():
    b = io.BytesIO()
    abrir_imagen('🌧').save(b, 'JPEG')
    (r,) = sonorizar_lote([b.getvalue()[:-2]], **CORTO)
    assert r.error is None and 'JPEG' in r.aviso


# Los bordes de lo que se pide
BORDES = [
    ('segundos', [60], [0, 60.1, float('nan')]),
    ('pasos', [1, 1000], [0, 1001]),
    ('n', [1, 100], [0, 101]),
    ('guia', [0, 0.5, 50], [-0.1, 50.1]),
    ('peso_texto', [0, 1], [-0.01, 1.01]),
    ('ventana', [0.32], [0.31, 0]),
    ('intervalo_guia', [(0, 1), (0, 0), (1, 1), (0.5, 0.5)], [(-0.1, 1), (0, 1.1), (0.6, 0.5)]),
]


@pytest.mark.parametrize('que, buenos, malos', BORDES, ids=[q for q, *_ in BORDES])
def test_los_bordes_de_lo_que_se_pide(que, buenos, malos):
    for v in buenos:
        assert getattr(opciones(**{que: v}), que) == v
    for v in malos:
        pytest.raises(ValueError, opciones, **{que: v})


def test_los_bordes_al_rehacer():
    minuto = Sonido(np.zeros(60 * FRECUENCIA, np.float32))
    assert opciones(sonido=minuto).segundos == 60
    for fuerza in (1e-3, 1):
        assert opciones(sonido=minuto, fuerza=fuerza).fuerza == fuerza
    with pytest.raises(ValueError, match='60.00 s'):
        opciones(sonido=Sonido(np.zeros(60 * FRECUENCIA + 1, np.float32)))
    assert opciones(texto_negativo='lluvia', guia=1.01).guia == 1.01


@pytest.mark.parametrize('eta', [0, 1, -0.01, 1.01])
def test_los_bordes_del_ruido_de_cada_paso(tuberia, eta):
    if 0 <= eta <= 1:
        assert isinstance(planificador(tuberia.scheduler, 'ddim', eta), DDIMScheduler)
    else:
        with pytest.raises(ValueError, match='entre 0 y 1'):
            planificador(tuberia.scheduler, 'ddim', eta)


@pytest.mark.parametrize(
    'pasos, fuerza, van', [(10, 1, 10), (10, 0.5, 10), (500, 0.1, 100), (1000, 1, 1000), (1, 1e-3, 1)]
)
def test_cuantos_instantes_se_recorren(tuberia, pasos, fuerza, van):
    "Los pedidos, en la última parte del camino; si de esos no hay tantos en mil, los que haya."
    t = instantes(copy.deepcopy(tuberia.scheduler), pasos, fuerza)
    assert len(t) == van and (t.diff() < 0).all() and t[0] <= 1000 * fuerza


def test_los_tensores_que_casan():
    forma, n = (2, 8, 32, 16), generadores(0, 2)

    def comprobar(**k):
        comprobar_tensores(opciones(**k), forma, 512)

    for filas in (1, 2):
        comprobar(negative_prompt_embeds=torch.ones(filas, 512))
    for mala in (torch.ones(3, 512), torch.ones(2, 511), torch.full((1, 512), torch.nan)):
        with pytest.raises(ValueError, match='condición negativa'):
            comprobar(negative_prompt_embeds=mala)
    with pytest.raises(ValueError, match='ruido inicial'):
        comprobar(latents=torch.full(forma, torch.inf))
    comprobar(generator=n)
    comprobar(generator=n[0])
    with pytest.raises(ValueError, match='2 sonidos y hay 1'):
        comprobar(generator=n[:1])
    mascara = torch.arange(32) == 5
    comprobar(sonido=tono(FRECUENCIA), mascara=mascara)
    with pytest.raises(ValueError, match='31'):
        comprobar(sonido=tono(FRECUENCIA), mascara=mascara[:31])


@pytest.mark.parametrize('angulo', [1e-5, 1e-3, 0.5, 2.0, np.pi - 2e-3])
def test_el_camino_de_la_esfera_es_el_de_scipy(angulo):
    "Giros iguales en pasos iguales, en todos los ángulos; y la longitud de los extremos no cuenta."
    from scipy.spatial import geometric_slerp

    a, b = np.array([1.0, 0, 0]), np.array([np.cos(angulo), 0, np.sin(angulo)])
    pesos = np.linspace(0, 1, 6)
    sale = slerp(torch.tensor(3 * a)[None], torch.tensor(7 * b)[None], torch.tensor(pesos))
    assert np.abs(sale.numpy() - geometric_slerp(a, b, pesos)).max() < 1e-9


def test_en_un_camino_parado_no_se_pierde_el_punto():
    "Una fila con los dos puntos iguales, junto a otra que sí gira."
    a, b = torch.tensor([[2.0, 0], [1, 0]]), torch.tensor([[5.0, 0], [0, 1]])
    sale = slerp(a, b, 0.5)
    assert torch.allclose(sale, torch.tensor([[1.0, 0], [0.5**0.5, 0.5**0.5]]), atol=1e-6)


def test_un_tono_largo_no_flaquea_entre_trozos(tuberia):
    "25 s de un tono se hacen en cuatro trozos: donde uno sigue a otro, la línea lleva las vueltas que llevaba."
    instante = np.arange(25 * 16_000) / 16_000
    for hz in (440, 630.5):
        tono = Sonido((0.3 * np.sin(2 * np.pi * hz * instante)).astype(np.float32), 16_000)
        onda = tuberia.decodificar(tuberia.a_latente(tono), 25.0)[0].muestras
        niveles = np.sqrt(np.square(onda.reshape(-1, 1600)).mean(1))[5:-5]
        assert niveles.min() > 0.7 * np.median(niveles)


def test_el_ruido_del_vocoder_sale_de_la_semilla(tuberia):
    "Con el mismo latente, otra semilla es otro grano; y la misma, la misma onda."
    latente = torch.randn(tuberia.forma_latente(1, 0.64), generator=torch.Generator().manual_seed(5))

    def onda(semilla):
        azar = torch.Generator().manual_seed(semilla)
        return tuberia(texto='la lluvia', latents=latente, pasos=2, segundos=0.64, generator=azar)[0].muestras

    una = onda(1)
    assert suena_igual(onda(1), una)
    assert np.abs(onda(2) - una).max() > 0.01


# De lo que se pide a la condición
def test_la_condicion_de_una_imagen_y_la_de_un_texto(tuberia):
    "Las de CLIP y CLAP enteros, de uno en uno; la imagen, llevada antes entre los textos que el Traductor conoce."
    clip, clap, traductor = CodificadorCLIP(), CodificadorCLAP(), tuberia.traductor
    for x in '🐓🌧':
        suyo = clip.imagen([x])
        with torch.no_grad():
            debe, sin_recordar = traductor(traductor.recordar(suyo)), traductor(suyo)
        assert (tuberia.condicion_imagen(x) - debe).abs().max() < 1e-4
        assert (sin_recordar - debe).abs().max() > 1e-3
    textos = ['lluvia', 'un perro ladra muy lejos, en el campo, de noche', '']
    juntos = tuberia.condicion_texto(textos)
    for texto, e in zip(textos, juntos, strict=True):
        assert (e - clap.texto([texto])[0]).abs().max() < 1e-4, texto
        assert abs(e.norm().item() - 1) < 1e-5
    doble = copy.deepcopy(tuberia.codificador_texto)
    with torch.no_grad():
        doble.text_projection.weight *= 2
        doble.text_projection.bias *= 2
    otra = TuberiaImg2Audio(**{**tuberia.components, 'codificador_texto': doble})
    assert (otra.condicion_texto(textos) - juntos).abs().max() < 1e-4  # lo largo que salga de la torre no cuenta


def test_de_que_se_avisa(tuberia):
    "De lo que es de otra cosa, y del primero; del texto vacío, que es la condición nula, no."
    discurso = 'un hombre da un discurso'
    casos = [('', None), (['', 'un perro ladra'], None), (['un perro ladra', discurso], discurso)]
    for textos, cual in casos:
        with recoger_avisos() as avisos:
            tuberia.condicion_texto(textos)
        assert len(avisos) == bool(cual) and all(f'«{cual}»' in a for a in avisos), textos
    sin_indice = TuberiaImg2Audio(**tuberia.components)
    with recoger_avisos() as avisos:
        sin_indice.condicion_texto('un hombre da un discurso')
    assert avisos == [] and mas_cercanas(sin_indice, tuberia.condicion_texto('lluvia')[0]) == []
    with recoger_avisos() as avisos:
        tuberia.condicion_imagen('🐓')
    assert avisos == []


def test_la_mezcla_de_imagenes_y_de_texto(tuberia):
    "Contra numpy: la media con pesos, devuelta a la esfera, y de ahí hacia el texto por el arco."
    from scipy.spatial import geometric_slerp

    caras = ['🐓', '🌧', '🌊']
    sueltas = [tuberia.condicion_imagen(x)[0].double().numpy() for x in caras]
    media = np.sum([p * x for p, x in zip((1, 3, 0.5), sueltas, strict=True)], axis=0)
    media /= np.linalg.norm(media)
    texto = tuberia.condicion_texto('un perro ladra')[0].double().numpy()
    for pedido, extremo in (
        ((caras, [1, 3, 0.5]), media),
        ((tuple(caras), [2, 6, 1]), media),
        (('🐓', None), sueltas[0]),
    ):
        imagen, pesos = pedido
        assert np.abs(tuberia.condicion(imagen, pesos=pesos)[0].numpy() - extremo).max() < 1e-5
        debe = geometric_slerp(extremo / np.linalg.norm(extremo), texto / np.linalg.norm(texto), [0.25, 0.5])
        for d, peso in zip(debe, (dict(peso_texto=0.25), {}), strict=True):  # de fábrica, a partes iguales
            sale = tuberia.condicion(imagen, 'un perro ladra', pesos=pesos, **peso)[0]
            assert np.abs(sale.numpy() - d).max() < 1e-5


# Del sonido al latente, y del latente al sonido
@pytest.mark.parametrize('muestras', [1, 5119, 5120, 5121, 12_000])
def test_el_latente_de_un_sonido_que_no_llena_sus_tramas(tuberia, muestras):
    "Al final le falta silencio: el latente es el que da el VAE del log-mel de la onda ya rellena."
    onda = np.random.default_rng(1).normal(0, 0.1, muestras).astype(np.float32)
    rellena = np.pad(onda, (0, -muestras % 5120))  # 8 tramas, que es lo que admite el UNet, de 640 muestras
    with torch.no_grad():
        debe = tuberia.vae.encode(log_mel(torch.from_numpy(rellena))[None, None]).latent_dist.mean
    z = tuberia.a_latente(Sonido(onda))
    assert z.shape == tuberia.forma_latente(1, muestras / FRECUENCIA) == (1, 8, len(rellena) // 640, 16)
    assert (z - debe * tuberia.vae.config.scaling_factor).abs().max() < 1e-4


def test_las_tramas_que_admite_cada_unet(tuberia):
    "Si no sabe recuperar tamaños impares, múltiplos de lo que reduce; si sabe, las que hagan falta."
    unet = copy.deepcopy(tuberia.unet)
    assert 'AttnUpBlock2D' in unet.config.up_block_types and len(unet.config.block_out_channels) == 4
    unet.register_to_config(up_block_types=['UpBlock2D'] * 4)
    libre = TuberiaImg2Audio(**{**tuberia.components, 'unet': unet})
    assert tuberia.por_trama() == libre.por_trama() == 640
    for segundos, de_8_en_8, hasta in ((1e-5, 8, 1), (0.32, 8, 8), (0.3201, 16, 9), (0.36, 16, 9), (5.12, 128, 128)):
        assert tuberia.forma_latente(3, segundos) == (3, 8, de_8_en_8, 16), segundos
        assert libre.forma_latente(3, segundos) == (3, 8, hasta, 16), segundos


def test_del_latente_a_la_onda(tuberia, dado, monkeypatch):
    "Lo pedido y no más; con el mismo ruido de vocoder, si no se da otro; lo que pasa de 1 se baja entero, y nada más."
    z = tuberia.a_latente(dado)
    onda = tuberia.decodificar(z, 0.64)[0].muestras
    pico = np.abs(onda).max()
    assert 0.05 < pico < 0.9
    for s in tuberia.decodificar(torch.cat([z, z]), 0.64):
        assert np.abs(s.muestras - onda).max() < 1e-4
    assert np.abs(tuberia.decodificar(z, 0.6)[0].muestras - onda[:9600]).max() < 1e-5
    assert len(tuberia.decodificar(z[:, :, :8], 1e-5)[0].muestras) == 1
    otra = tuberia.decodificar(z, 0.64, generadores(9, 1))[0].muestras
    assert np.abs(otra - onda).max() > 1e-3
    assert np.abs(otra - tuberia.decodificar(z, 0.64, generadores(9, 1))[0].muestras).max() < 1e-5
    vocoder = type(tuberia.vocoder)
    de_verdad = vocoder.forward
    for por, debe in ((0.5, 0.5 * onda), (0.98 / pico, 0.98 / pico * onda), (40.0, 0.99 / pico * onda)):
        monkeypatch.setattr(vocoder, 'forward', lambda *a, por=por, **k: por * de_verdad(*a, **k))
        assert np.abs(tuberia.decodificar(z, 0.64)[0].muestras - debe).max() < 1e-4, por


# El bucle
def sin_red(monkeypatch) -> list:
    "La red, fuera: prevé ceros. Lo que se le pide, apuntado."
    vistos = []

    def prever(self, x, t, condicion, nulo, guia):
        vistos.append((x.clone(), int(t), guia))
        return torch.zeros_like(x)

    monkeypatch.setattr(TuberiaImg2Audio, '_prever', prever)
    return vistos


@pytest.mark.parametrize('fuerza', [0.5, 1])
def test_lo_que_no_se_rehace_se_repone_en_cada_paso(tuberia, dado, monkeypatch, fuerza):
    "Con el ruido que le toca a ese paso; y al final, tal como era."
    vistos, alfas = sin_red(monkeypatch), tuberia.scheduler.alphas_cumprod
    z, forma = tuberia.a_latente(dado), tuberia.forma_latente(2, 0.64)
    ruido = torch.randn(forma, generator=generadores(0, 1)[0])
    mascara = torch.arange(forma[2]) >= 5
    sale = tuberia(
        texto='lluvia', sonido=dado, n=2, mascara=mascara, latents=ruido, pasos=5, fuerza=fuerza, output_type='latent'
    )
    assert len(vistos) == 5
    for x, t, _ in vistos:
        debe = alfas[t].sqrt() * z + (1 - alfas[t]).sqrt() * ruido
        assert (x - debe)[:, :, ~mascara].abs().max() < 1e-5
    assert (vistos[-1][0] - debe)[:, :, mascara].abs().max() > 0.01
    assert torch.equal(sale[:, :, ~mascara], z.expand(forma)[:, :, ~mascara])
    assert (sale - z)[:, :, mascara].abs().max() > 0.01


def test_que_se_ve_en_cada_paso(tuberia, monkeypatch):
    "Por dónde va, y el latente que queda: el último es el que sale."
    vistos, pasos, latentes = sin_red(monkeypatch), [], []
    sale = tuberia(
        texto='lluvia',
        segundos=0.64,
        pasos=4,
        generator=generadores(0, 1),
        al_paso=lambda i, n: pasos.append((i, n)),
        mirar=lambda i, z: latentes.append((i, z.clone())),
        intervalo_guia=(0.25, 0.75),
        guia=3,
        output_type='latent',
    )
    assert pasos == [(1, 4), (2, 4), (3, 4), (4, 4)] and [i for i, _ in latentes] == [1, 2, 3, 4]
    for (_, z), (x, *_) in zip(latentes, vistos[1:], strict=False):
        assert torch.equal(z, x)
    assert torch.equal(latentes[-1][1], sale)
    assert [guia for *_, guia in vistos] == [1, 3, 3, 1]
    assert torch.equal(vistos[0][0], torch.randn(sale.shape, generator=generadores(0, 1)[0]))


def test_de_cuanto_es_la_ventana(tuberia, monkeypatch):
    vistos = sin_red(monkeypatch)
    for ventana, tramas in ((None, [56]), (0.64, [16] * 5), (0.5, [16] * 5), (2.0, [56]), (10.0, [56])):
        vistos.clear()
        tuberia(texto='lluvia', segundos=2.0, pasos=1, ventana=ventana, output_type='latent')
        assert [x.shape[2] for x, *_ in vistos] == tramas, ventana


def test_el_ruido_de_ddim_es_el_de_su_generador(tuberia):
    "Con `eta`, otro generador es otro sonido, aunque el ruido de partida sea el mismo; y el mismo, el mismo."
    ruido = torch.randn(tuberia.forma_latente(1, 0.64), generator=generadores(0, 1)[0])

    def latente(semilla: int, eta: float):
        pedido = dict(latents=ruido, segundos=0.64, pasos=3, planificador='ddim', output_type='latent')
        return tuberia(texto='lluvia', eta=eta, generator=generadores(semilla, 1), **pedido)

    assert torch.equal(latente(1, 1.0), latente(1, 1.0))
    assert (latente(1, 1.0) - latente(2, 1.0)).abs().max() > 0.1
    assert torch.equal(latente(1, 0.0), latente(2, 0.0))
    assert 0.01 < (latente(1, 0.5) - latente(1, 1.0)).abs().max()


def test_los_instantes_de_fabrica_son_de_dpm_sin_karras(tuberia):
    "Los σ de cada paso son los del ruido con que se entrenó, √((1 − ᾱ)/ᾱ), y no los de Karras."
    s = copy.deepcopy(tuberia.scheduler)
    assert isinstance(s, DPMSolverMultistepScheduler) and s.config.algorithm_type == 'dpmsolver++'
    s.set_timesteps(10)
    alfas = s.alphas_cumprod[s.timesteps]
    assert (s.sigmas[:-1] - ((1 - alfas) / alfas).sqrt()).abs().max() < 1e-3
    assert (s.timesteps.diff() + 100).abs().max() <= 1  # mil instantes, de cien en cien


# La tubería y sus puertas
def test_cada_sonido_el_de_su_condicion_y_su_generador(tuberia):
    "De dos condiciones, dos de cada una, seguidos; lo largas que sean no cuenta."
    e = tuberia.condicion_texto(['lluvia', 'las olas rompen'])
    azar = [g for _ in e for g in generadores(3, 2)]
    corto = dict(segundos=0.64, pasos=2)
    salen = tuberia(prompt_embeds=torch.tensor([[7.0], [0.1]]) * e, n=2, generator=azar, **corto)
    for s, (texto, semilla) in zip(salen, [(t, i) for t in ('lluvia', 'las olas rompen') for i in (3, 4)], strict=True):
        solo = tuberia(texto=texto, generator=generadores(semilla, 1), **corto)[0]
        assert suena_igual(s.muestras, solo.muestras)
    assert np.abs(salen[0].muestras - salen[2].muestras).max() > 0.01


def test_la_condicion_negativa(tuberia):
    "Su longitud no cuenta; y vale una para todos, o una por sonido."
    si, no = tuberia.condicion_texto('las olas rompen'), tuberia.condicion_texto('lluvia')

    def sonar(n=2, **k):
        azar = generadores(0, n)
        salen = tuberia(prompt_embeds=si, n=n, segundos=0.64, pasos=2, guia=3, generator=azar, **k)
        return np.stack([s.muestras for s in salen])

    debe = sonar(texto_negativo='lluvia')
    assert np.abs(debe - sonar()).max() > 0.01
    for e in (no, 5 * no, torch.cat([no, 0.2 * no])):
        assert suena_igual(sonar(negative_prompt_embeds=e), debe)


def test_a_que_nivel_sale(tuberia, dado):
    "Diez decibelios son ×√10; sin nivel, como salga; y lo que se rehace, al que tenga."
    azar = dict(generator=generadores(0, 1), segundos=0.64, pasos=2)

    def sonar(**k):
        return tuberia(texto='lluvia', **azar | dict(generator=generadores(0, 1)), **k)[0].muestras

    crudo = sonar(a_nivel=None)
    ganancia = {
        a: np.dot(sonar(a_nivel=a)[2000:8000], crudo[2000:8000]) / np.sum(crudo[2000:8000] ** 2) for a in (-50, -40)
    }
    assert abs(ganancia[-40] / ganancia[-50] - 10**0.5) < 1e-2
    for a in (-50, -40):
        assert abs(20 * np.log10(np.sqrt(np.mean(sonar(a_nivel=a) ** 2))) - a) < 0.5
    pedido = dict(sonido=dado, texto='lluvia', pasos=2)
    de_fabrica, sin_nivel = (
        tuberia(generator=generadores(0, 1), **pedido, **k)[0].muestras for k in ({}, dict(a_nivel=None))
    )
    assert np.abs(de_fabrica - sin_nivel).max() < 1e-5


def test_clap_oye_un_sonido_a_trozos(monkeypatch):
    "Los que hacen falta para cubrirlo, a pasos iguales; uno corto, repetido. Y el coseno con lo pedido, contra numpy."

    def oir(self, ondas, frecuencia):
        "En lugar de CLAP, lo que suman las muestras de cada una de cien partes: se nota si se corre una sola."
        x = torch.from_numpy(np.stack(ondas))
        assert x.shape[1] == 5 * frecuencia
        return torch.nn.functional.normalize(x.reshape(len(x), 100, -1).sum(2), dim=1)

    monkeypatch.setattr(CodificadorCLAP, 'audio', oir)
    onda = np.random.default_rng(2).normal(0, 0.1, 192_000).astype(np.float32)
    larga = oir(None, [onda[:80_000], onda[56_000:136_000], onda[112_000:]], FRECUENCIA).mean(0)  # de 12 s, tres de 5
    corta, justa = oir(None, [np.tile(onda[-20_000:], 4), onda[-80_000:]], FRECUENCIA)
    debe = torch.stack([larga / larga.norm(), corta, justa])
    sonidos = [Sonido(onda), Sonido(onda[-20_000:]), Sonido(onda[-80_000:])]
    assert (condicion_sonido(sonidos) - debe).abs().max() < 1e-5
    doble = oir(None, [onda[:160_000], onda[32_000:]], 2 * FRECUENCIA).mean(0)  # a 32 kHz, de 6 s, dos
    assert (condicion_sonido([Sonido(onda, 2 * FRECUENCIA)]) - doble / doble.norm()).abs().max() < 1e-5
    pedidas = torch.randn(3, 100, generator=generadores(0, 1)[0])
    cosenos = (debe @ (pedidas / pedidas.norm(dim=1, keepdim=True)).T).numpy()
    assert np.abs(parecido_clap(sonidos, pedidas).numpy() - cosenos.diagonal()).max() < 1e-5
    assert np.abs(parecido_clap(sonidos, pedidas[1:2].double()).numpy() - cosenos[:, 1]).max() < 1e-5
    with pytest.raises(ValueError, match='hay 2 y 3 sonidos'):
        parecido_clap(sonidos, pedidas[:2])


def test_generar_reparte_las_semillas(tuberia):
    "De cada condición, los suyos, con sus semillas y sus frases; y el mejor, el que CLAP oye más cerca."
    textos, corto = ['lluvia', 'las olas rompen'], dict(segundos=0.64, pasos=2)
    e = tuberia.condicion_texto(textos)
    todos = generar(tuberia, e, semilla=5, num_audios=3, **corto)
    mejores = generar(tuberia, e, semilla=5, elegir_mejor_de=3, **corto)
    dos = generar(tuberia, e, semilla=5, num_audios=2, elegir_mejor_de=3, **corto)
    uno = generar(tuberia, e, semilla=6, **corto)
    for k, texto in enumerate(textos):
        assert [s.semilla for s in todos[k]] == [5, 6, 7]
        assert suena_igual(todos[k][1].muestras, uno[k].muestras)
        solo = sonorizar(texto=texto, semilla=7, progreso=False, **corto)
        assert suena_igual(todos[k][2].muestras, solo.muestras)
        notas = parecido_clap(todos[k], e[k : k + 1])
        orden = [5 + i for i in notas.argsort(descending=True).tolist()]
        assert mejores[k].semilla == orden[0] and [s.semilla for s in dos[k]] == orden[:2]
        debe = torch.cosine_similarity(e[k : k + 1], tuberia.indice.clap).tolist()
        frases = sorted(zip(debe, tuberia.indice.textos, strict=True), reverse=True)
        cinco = [(c, f) for c, f in frases if f not in tuberia.indice.dobles][:5]  # la más cercana no es doble
        assert [f for f, _ in solo.cercanas] == [f for f, _ in todos[k][0].cercanas] == [f for _, f in cinco]
        assert np.abs(np.array([c for _, c in solo.cercanas]) - [c for c, _ in cinco]).max() < 1e-4
    azar = torch.Generator().manual_seed(5)
    (suyo,) = generar(tuberia, e[:1], generator=azar, **corto)
    assert suyo.semilla is None and suena_igual(suyo.muestras, todos[0][0].muestras)


def test_cuantos_se_generan():
    for pedido, n in (({}, 1), (dict(num_audios=3), 3), (dict(num_audios=1, elegir_mejor_de=1), 1)):
        assert comprobar_pedido(**pedido).n == n
    for num_audios in (1, 2, 3, None):
        assert comprobar_pedido(num_audios=num_audios, elegir_mejor_de=3).n == 3
    for malo in (dict(num_audios=0), dict(num_audios=4, elegir_mejor_de=3), dict(elegir_mejor_de=-1)):
        with pytest.raises(ValueError, match='al menos 1|entre 1 y 100'):
            comprobar_pedido(**malo)


def test_lo_que_prefiere_un_perfil():
    "Vale si no se dice otra cosa: al comprobar, al generar y al sonorizar."
    suyo = dict(segundos=0.64, pasos=2, guia=4.0, negativo='un perro ladra')
    p = replace(PERFILES['mini'], **suyo)
    o = comprobar_pedido(p, pasos=None, texto_negativo=None, a_nivel=None)
    assert (o.segundos, o.pasos, o.guia, o.texto_negativo, o.a_nivel) == (0.64, 2, 4, 'un perro ladra', None)
    assert comprobar_pedido(p, pasos=3, texto_negativo='el mar').texto_negativo == 'el mar'
    assert comprobar_pedido(p, pasos=3).pasos == 3 and comprobar_pedido(p, fuerza=0.3).pasos == 2
    debe = sonorizar('🌧', **CORTO, guia=4.0, texto_negativo='un perro ladra').muestras
    assert suena_igual(sonorizar('🌧', perfil=p, progreso=False).muestras, debe)
    tuberia = cargar_tuberia()
    suena = generar(tuberia, tuberia.condicion('🌧'), p)[0].muestras
    assert suena_igual(suena, debe)
    assert np.abs(sonorizar('🌧', **CORTO).muestras - debe).max() > 0.01


def test_un_clap_que_oye_como_otro_no_elige(tmp_path):
    "Se dice antes de generar, y por todas las puertas; para lo demás sirve."
    mini = PERFILES['mini']
    shutil.copytree(mini.clap, tmp_path / 'clap')
    ajustes = json.loads((tmp_path / 'clap/config.json').read_text(encoding='utf-8'))
    (tmp_path / 'clap/config.json').write_text(json.dumps(ajustes | {OYE_OTRO: True}), encoding='utf-8')
    p = replace(mini, nombre='ajeno', clap=str(tmp_path / 'clap'))
    s = sonorizar('🌧', perfil=p, **CORTO)
    assert suena_igual(s.muestras, sonorizar('🌧', **CORTO).muestras)
    e = cargar_tuberia(p).condicion('🌧')
    for pide in (
        lambda: comprobar_pedido(p, elegir_mejor_de=2),
        lambda: condicion_sonido([s], p),
        lambda: parecido_clap([s], e, p),
        lambda: generar(cargar_tuberia(p), e, p, elegir_mejor_de=2, segundos=0.64, pasos=1),
    ):
        with pytest.raises(ValueError, match='«ajeno» lee como su AudioLDM, pero oye como otro'):
            pide()
