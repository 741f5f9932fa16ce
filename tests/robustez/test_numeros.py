"""A la puerta de cada función pública que recibe números.

NaN, infinitos, ceros, otra forma, otro tipo o nada son un error que lo dice, y no un número cualquiera."""

import inspect
import math
import re
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import torch.nn.functional as F

from img2audio import embeddings, integracion, normas, traductor
from img2audio.comun import difusion, indice, sonidos
from img2audio.comun import vectores as vectores_de
from img2audio.comun.difusion import generadores
from img2audio.comun.perfiles import MINI
from img2audio.comun.sonidos import Sonido
from img2audio.integracion import cargar_tuberia
from img2audio.puertas import variaciones
from img2audio.taller import cifras, comparacion, evaluacion, examenes, lotes, medidas, oido, techo, vigilantes

PAQUETE = Path(integracion.__file__).parent
NUESTRO = re.compile(
    'Se esperaba|Hace[n]? falta|Hay |No hay |Entre los|El sonido|La condición|El ruido inicial|Un espectrograma|'
    'Las covarianzas|dio valores que no son números|Uno de los sonidos|no tiene ningún embedding'
)
g = torch.Generator().manual_seed(0)
E, X = (F.normalize(torch.randn(24, 512, generator=g), dim=1) for _ in range(2))  # embeddings sanos
Z = np.random.default_rng(0).normal(size=(24, 6))  # puntos sanos, en otro espacio
MEL = np.random.default_rng(1).normal(-5, 2, (300, 64)).astype(np.float32)
PUNTOS = np.random.default_rng(3).random((24, 521))  # como los de YAMNet
ONDA = (0.1 * np.random.default_rng(2).normal(size=40_000)).astype(np.float32)
CLASES = ['a', 'b'] * 12
RED = traductor.Traductor(8).eval()
MEMORIA = traductor.con_memoria(RED, X, k=4)
NUNCA = comparacion.TraductorGenerativo(8).eval()
REALES = {c: np.ones(3) for c in 'ab'}


def momentos(z):
    return z.mean(0), np.cov(z.T)


def malos(
    bueno, ancho: bool = True, nulos: bool = True, valores: bool = True, vacios: bool = True, nada: bool = True
) -> dict:
    "Lo que se puede hacer mal con una matriz: el nombre del daño, y la matriz dañada."

    def con(valor, donde=(1, 2)):
        x = bueno.clone() if torch.is_tensor(bueno) else bueno.copy()
        x[donde] = valor
        return x

    casos = dict(
        suelto=bueno[0],
        de_mas=bueno[None],
        lista=bueno.tolist(),
        enteros=bueno.long() if torch.is_tensor(bueno) else bueno.astype(int),
    )
    if nada:
        casos['nada'] = None
    if vacios:
        casos['vacio'] = bueno[:0]
    if ancho:
        casos['estrecho'] = bueno[:, :-1]
    if valores:
        casos |= dict(nan=con(math.nan), inf=con(math.inf), menos_inf=con(-math.inf))
    if valores and nulos:
        casos['nulo'] = con(0, 3)
    return casos


def ondas_malas(bueno) -> dict:
    "Lo mismo, con una onda."
    return dict(
        nan=np.where(np.arange(len(bueno)) == 9, np.nan, bueno),
        inf=np.where(np.arange(len(bueno)) == 9, np.inf, bueno),
        estereo=np.stack([bueno] * 2),
        vacia=bueno[:0],
        enteros=(bueno * 1000).astype(np.int16),
        nada=None,
        texto='onda',
        compleja=bueno.astype(complex),
    )


# Un caso es (función, lo bueno, lo malo): la llamada recibe uno u otro
def vectores(f, x=X, **k):
    return f, x, malos(x, **k)


def formas(f):
    "Lo que va en un bucle de entrenamiento: ahí los valores se miran al entrar y al salir."
    return vectores(f, valores=False)


def onda(f):
    return f, ONDA, ondas_malas(ONDA)


def ondas(f):
    return lambda o: f([ONDA, o, ONDA, ONDA]), ONDA, ondas_malas(ONDA)


def puntos(f, **k):
    return vectores(f, Z, nulos=False, **k)


CASOS = {
    'norma_l2': [vectores(normas.norma_l2, ancho=False, nulos=False, vacios=False)],
    'normalizar_l2': [vectores(normas.normalizar_l2, ancho=False, vacios=False)],
    'esta_normalizado': [vectores(normas.esta_normalizado, ancho=False, nulos=False)],
    'tabla_normas': [vectores(lambda x: normas.tabla_normas(dict(a=x)), ancho=False, nulos=False)],
    'histogramas_normas': [vectores(lambda x: normas.histogramas_normas(dict(a=x)), ancho=False, nulos=False)],
    'comprobar_vectores': [vectores(lambda x: vectores_de.comprobar_vectores(x, d=512))],
    'brecha_modal': [
        vectores(lambda x: embeddings.brecha_modal(x, E)),
        vectores(lambda x: embeddings.brecha_modal(E, x)),
    ],
    'onda_valida': [onda(sonidos.onda_valida)],
    'ondas_validas': [ondas(sonidos.ondas_validas)],
    'CodificadorCLAP.audio': [ondas(lambda o: CLAP().audio(o))],
    'Traductor.forward': [vectores(RED)],
    'Traductor.recordar': [vectores(MEMORIA.recordar), vectores(RED.recordar)],
    'perdida_coseno': [
        formas(lambda x: traductor.perdida_coseno(x, E)),
        formas(lambda x: traductor.perdida_coseno(E, x)),
    ],
    'perdida_ecm': [formas(lambda x: traductor.perdida_ecm(x, E)), formas(lambda x: traductor.perdida_ecm(E, x))],
    'perdida_contrastiva': [
        formas(lambda x: traductor.perdida_contrastiva(x, E)),
        formas(lambda x: traductor.perdida_contrastiva(E, x)),
    ],
    'entrenar_traductor': [
        vectores(lambda x: traductor.entrenar_traductor(x, E, oculta=8, epocas=1, progreso=False)),
        vectores(lambda x: traductor.entrenar_traductor(E, x, oculta=8, epocas=1, progreso=False)),
        vectores(lambda x: traductor.entrenar_traductor(X, E, oculta=8, epocas=1, progreso=False, validacion=(x, E))),
        vectores(lambda x: traductor.entrenar_traductor(X, E, oculta=8, epocas=1, progreso=False, validacion=(X, x))),
    ],
    'Prueba': [
        vectores(lambda x: comparacion.Prueba(x, E, torch.eye(24, dtype=bool)), ancho=False),
        vectores(lambda x: comparacion.Prueba(X, x, torch.eye(24, dtype=bool)), ancho=False),
    ],
    'sin_red': [vectores(lambda x: comparacion.sin_red(x, E)), vectores(lambda x: comparacion.sin_red(E, x))],
    'con_centro': [vectores(lambda x: comparacion.con_centro(RED, x))],
    'racimos': [vectores(lambda x: indice.racimos(x, 4), ancho=False)],
    'con_memoria': [vectores(lambda x: traductor.con_memoria(RED, x, k=4))],
    'entrenar_generativo': [
        vectores(lambda x: comparacion.entrenar_generativo(x, E, pasos=1, oculta=8)),
        vectores(lambda x: comparacion.entrenar_generativo(E, x, pasos=1, oculta=8)),
    ],
    'proponer': [vectores(lambda x: comparacion.proponer(NUNCA, x, pasos=1))],
    'crear_indice': [vectores(lambda x: indice.crear_indice(['a'] * 24, x), ancho=False)],
    'vecinas': [
        vectores(lambda x: indice.vecinas(E[0], CLASES, x)),
        (
            lambda x: indice.vecinas(x, CLASES, E),
            E[0],
            dict(
                nan=E[0] * math.nan,
                inf=E[0] / 0,
                nulo=E[0] * 0,
                estrecho=E[0][:9],
                matriz=E,
                enteros=E[0].long(),
                lista=E[0].tolist(),
                nada=None,
            ),
        ),
    ],
    'elegir_alfa': [
        vectores(lambda x: comparacion.elegir_alfa(x, E, {})),
        vectores(lambda x: comparacion.elegir_alfa(E, x, {})),
    ],
    'oir_condiciones': [
        vectores(lambda x: comparacion.oir_condiciones(TUBERIA(), dict(a=x[:1] if x is X else x), segundos=0.2))
    ],
    'medir_brecha': [
        vectores(lambda x: comparacion.medir_brecha((X, E, (X, E)), x, {}, (0.0,), semillas=(0,), ejemplos=24))
    ],
    'slerp': [vectores(lambda x: integracion.slerp(x, E, 0.5)), vectores(lambda x: integracion.slerp(E, x, 0.5))],
    'con_ruido': [
        (lambda a: difusion.con_ruido(E, X, torch.tensor(a)), 0.5, dict(nan=math.nan, negativo=-0.1, pasa=1.1)),
        (lambda x: difusion.con_ruido(E, x, torch.tensor(0.5)), X, dict(estrecho=X[:, :9], suelto=X[0])),
    ],
    'finito': [(lambda x: difusion.finito(x, 'El UNet'), X, dict(nan=X * math.nan, inf=X / 0))],
    'de_guia': [(lambda x: difusion.de_guia(x, 16), X, dict(nan=X * math.nan, inf=X / 0))],
    'Sonido': [onda(Sonido)],
    'parecido_clap': [vectores(lambda x: integracion.parecido_clap([Sonido(ONDA)] * 24, x), ancho=False)],
    'condicion_sonido': [(lambda s: integracion.condicion_sonido(s), [Sonido(ONDA)], dict(vacia=[]))],
    'mezclar': [(variaciones.mezclar, [Sonido(ONDA)] * 2, dict(vacia=[], callado=[Sonido(ONDA), Sonido(0 * ONDA)]))],
    'estadisticas': [vectores(vigilantes.estadisticas, MEL, nulos=False)],
    'autocorrelacion': [vectores(vigilantes.autocorrelacion, MEL, nulos=False)],
    'ritmo': [vectores(vigilantes.ritmo, MEL, nulos=False)],
    'griffin_lim': [vectores(lambda x: techo.griffin_lim(x, 1), MEL, nulos=False)],
    'rasgos_mel': [ondas(vigilantes.rasgos_mel)],
    'rasgos_librosa': [ondas(vigilantes.rasgos_librosa)],
    'variantes': [onda(lambda o: vigilantes.variantes(o, 1, np.random.default_rng(0)))],
    'reconstruir': [onda(lambda o: techo.reconstruir(o, None, TUBERIA().vocoder))],
    'medir_vocoder': [ondas(lambda o: techo.medir_vocoder(TUBERIA().vocoder, o, lambda a, b: 0))],
    'Vigilante.entrenar': [ondas(lambda o: vigilantes.crear_vigilantes()[0].entrenar(o, ['a', 'b', 'a', 'b']))],
    'Vigilante.oye': [ondas(lambda o: VIGILANTE().oye(o))],
    'Espacio': [
        puntos(lambda x: medidas.Espacio.ajustar(x, 2), ancho=False),
        puntos(lambda x: medidas.Espacio.ajustar(Z, 2)(x)),
    ],
    'autocorrelacion_onda': [onda(oido.autocorrelacion_onda)],
    'nivel_db': [onda(sonidos.nivel_db)],
    'hueco_mas_largo': [onda(oido.hueco_mas_largo)],
    'osciladores': [vectores(lambda x: oido.osciladores(x, 1), MEL[:40], nulos=False)],
    'intervalo': [
        (
            lambda x: medidas.intervalo(x, n=9),
            Z[:, 0],
            dict(nan=Z[:, 0] * np.nan, inf=np.append(Z[:, 0], np.inf), vacio=[], nada=None, suelto=3.0),
        )
    ],
    'frechet': [puntos(lambda x: medidas.frechet(x, Z)), puntos(lambda x: medidas.frechet(Z, x))],
    'frechet_gaussianas': [
        (
            lambda m: medidas.frechet_gaussianas(*m, *momentos(Z)),
            momentos(Z),
            dict(
                nan=(Z[0] * np.nan, np.eye(6)),
                inf=(Z[0], np.full((6, 6), np.inf)),
                estrecha=(Z[0], np.eye(5)),
                otra=(Z[0, :5], np.eye(5)),
                alargada=(Z[0], np.ones((9, 6))),
            ),
        )
    ],
    'razon_frechet': [
        puntos(lambda x: medidas.razon_frechet(x, CLASES, Z, CLASES, Z)),
        puntos(lambda x: medidas.razon_frechet(Z, CLASES, x, CLASES, Z)),
        puntos(lambda x: medidas.razon_frechet(Z, CLASES, Z, CLASES, x)),
    ],
    'distancias_reales': [puntos(lambda x: medidas.distancias_reales(x, CLASES, list(range(24))), ancho=False)],
    'diversidad': [puntos(lambda x: medidas.diversidad(x, CLASES, REALES), ancho=False)],
    'copias': [
        puntos(lambda x: medidas.copias(x, CLASES, Z, CLASES, REALES)),
        puntos(lambda x: medidas.copias(Z, CLASES, x, CLASES, REALES)),
    ],
    'frechet_infinito': [puntos(lambda x: medidas.frechet_infinito(x, *momentos(Z), veces=1))],
    'r_en_k': [vectores(lambda x: medidas.r_en_k(x, E)), vectores(lambda x: medidas.r_en_k(E, x))],
    'medir': [vectores(lambda x: evaluacion.medir([ONDA] * 24, x, REFERENCIA()))],
    'generar_lote': [
        vectores(
            lambda x: lotes.generar_lote(
                TUBERIA(),
                x[:2]
                if torch.is_tensor(x) and x.ndim == 2 and len(x) > 9 and x[:2].isfinite().all() and x[:4].any(1).all()
                else x,
                1,
                1,
                0.2,
                progreso=False,
            )
        )
    ],
    'cronometrar': [vectores(lambda x: lotes.cronometrar(TUBERIA(), x, 1, pasos=1, guia=1.0, segundos=0.2))],
    'medir_puntos': [
        vectores(
            lambda x: (
                lotes.medir_puntos(TUBERIA(), [('DDIM', 1, 1.0)], x, CLASES, None, Z)
                if not torch.is_tensor(x) or x is not X
                else None
            )
        )
    ],
    'TuberiaImg2Audio.__call__': [
        vectores(lambda x: sonar(prompt_embeds=x) if x is not X else sonar(prompt_embeds=x[:1])),
        (
            lambda z: sonar(latents=z),
            torch.zeros(1, 8, 8, 16),
            dict(nan=torch.full((1, 8, 8, 16), math.nan), ancho=torch.zeros(1, 8, 9, 16), dos=torch.zeros(2, 8, 8, 16)),
        ),
        (
            lambda x: sonar(negative_prompt_embeds=x, guia=2.0),
            X[:1],
            dict(nan=X[:1] * math.nan, estrecho=X[:1, :9], dos=X[:2], suelto=X[0]),
        ),
    ],
    'TuberiaImg2Audio.decodificar': [
        (
            lambda z: TUBERIA().decodificar(z, 0.2),
            torch.zeros(1, 8, 8, 16),
            dict(
                nan=torch.full((1, 8, 8, 16), math.nan),
                ancho=torch.zeros(1, 8, 9, 16),
                suelto=torch.zeros(8, 8, 16),
                vacio=torch.zeros(0, 8, 8, 16),
            ),
        )
    ],
}
# Reciben números, y no están arriba
EXENTAS = {
    'espectro': 'la llaman `log_mel`, que mira cuánto dura la onda, y el vocoder, con la suya',
    'mel_de_espectro': 'recibe lo que da `espectro`',
    'log_mel': 'va dentro de los bucles de entrenamiento, y solo mira cuánto dura la onda',
    'ensuciar': 'la llaman bucles de entrenamiento, que miran lo que entra',
    'TraductorGenerativo': 'la usa por dentro `proponer`, que comprueba',
    'crear_bases': 'los toma de `embeber`, y los apila `apilar`',
    'submuestra': 'un generador de azar',
    'fila': 'una cifra: NaN quiere decir que no la hay',
    'fila_aciertos': 'aciertos, que pasan por `intervalo_wilson`',
    'comparar': 'los pasa a `entrenar_traductor`',
    'filas_nube': 'los pasa a `razon_frechet`, `diversidad` y `copias`',
    'Referencia': 'la escribe `crear_referencia` y la lee `cargar_referencia`',
    'opciones': 'las formas las mira `comprobar_tensores`, y las prueba `TuberiaImg2Audio.__call__`',
    'por_ventanas': 'va dentro del bucle de la difusión',
    'escribir_con_vectores': 'la llama `extraer_embeddings`, con los índices que cuenta',
    'mas_cercanas': 'se lo pasa a `vecinas`',
    'parecido_suave': 'recibe lo que mira `Indice.margen`',
    **dict.fromkeys(
        ('comprobar_pedido', 'generar', 'sonorizar', 'rellenar', 'continuar'), 'los tensores los pasan a la tubería'
    ),
    'sintetizar': 'la llaman `reconstruir` y `medir_vocoder`, que comprueban',
}
CASOS['oido_entrenado'] = [vectores(lambda p: oido.oido_entrenado(p, ['a', 'b'] * 12), PUNTOS, nulos=False)]
DE_YAMNET = {
    'escuchar': [ondas(oido.escuchar)],
    'puntuar': [ondas(oido.puntuar)],
    **{
        f.__name__: [vectores(f, PUNTOS, nulos=False)]
        for f in (oido.puntos_conceptos, oido.oir, oido.oir_o_nada, oido.etiquetas_oidas)
    },
}
if oido.hay_oido():
    CASOS |= DE_YAMNET
else:
    EXENTAS |= dict.fromkeys(DE_YAMNET, 'no está YAMNet')

_hechos = {}


def una_vez(nombre, f):
    if nombre not in _hechos:
        _hechos[nombre] = f()
    return _hechos[nombre]


def TUBERIA():
    return una_vez('tubería', cargar_tuberia)


def CLAP():
    return una_vez('clap', embeddings.CodificadorCLAP)


def VIGILANTE():
    return una_vez(
        'vigilante',
        lambda: vigilantes.crear_vigilantes()[0].entrenar([ONDA * (i + 1) / 4 for i in range(4)], ['a', 'b'] * 2),
    )


def REFERENCIA():
    return una_vez('referencia', evaluacion.cargar_referencia)


def sonar(guia=1.0, **k):
    t = TUBERIA()
    t.set_progress_bar_config(disable=True)
    return t(**dict(prompt_embeds=X[:1], segundos=0.2, pasos=1, guia=guia) | k)


@pytest.mark.parametrize('nombre', CASOS)
def test_lo_malo_se_dice(nombre, apuntar):
    for f, bueno, daños in CASOS[nombre]:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')
            f(bueno)
        for daño, malo in daños.items():
            with pytest.raises((TypeError, ValueError, FloatingPointError)) as e:
                f(malo)
            de, dice = Path(e.traceback[-1].path), str(e.value)
            assert PAQUETE in de.parents and NUESTRO.search(dice), (
                f'{nombre}, {daño}: lo dice {de.name}, y dice «{dice}»'
            )
            apuntar()


def test_estan_todas(apuntar):
    "Recorre lo público: lo que reciba tensores o matrices tiene sus casos, o una razón para no tenerlos."

    def pide(f):
        return any(re.search('Tensor|ndarray', str(p.annotation)) for p in inspect.signature(f).parameters.values())

    faltan = []
    for modulo in (
        normas,
        traductor,
        integracion,
        evaluacion,
        cifras,
        examenes,
        lotes,
        medidas,
        techo,
        vigilantes,
        embeddings,
        oido,
        sonidos,
        comparacion,
        vectores_de,
        difusion,
        variaciones,
    ):
        for nombre in modulo.__all__:
            f = getattr(modulo, nombre)
            if not callable(f) or f.__module__ != modulo.__name__:
                continue
            apuntar()
            try:
                suyo = pide(f) and nombre not in CASOS
            except ValueError:
                continue  # sin firma
            if suyo and nombre not in EXENTAS and f'{nombre}.forward' not in CASOS:
                faltan.append(nombre)
    assert not faltan


def test_columna_de_embeddings_mal_hecha(apuntar):
    for columna in ([], [E[0], E[1][:9]]):
        with pytest.raises(ValueError, match='misma forma'):
            comparacion.apilar(pd.Series(columna, dtype=object))
        apuntar()


def test_entrenar_sin_llegar_a_numeros(apuntar):
    "Si la pérdida se va al infinito, no se devuelve una red rota."
    with pytest.raises(FloatingPointError, match='menos tasa de aprendizaje'):
        traductor.entrenar_traductor(
            X, E, lambda y, o: (y - o).square().sum() * math.nan, oculta=8, epocas=2, progreso=False
        )
    apuntar()


PIEZAS = {  # qué se agranda hasta que no cabe en float16
    'la imagen': lambda t: t.codificador_imagen.visual_projection,
    'el texto': lambda t: t.codificador_texto.text_projection,
    'el Traductor': lambda t: t.traductor.sale,
    'el UNet': lambda t: t.unet.conv_out,
    'el UNet, por dentro': lambda t: t.unet.conv_in,
    'el decodificador': lambda t: t.vae.decoder.conv_out,
    'la entrada del decodificador': lambda t: t.vae.post_quant_conv,
    'el vocoder': lambda t: t.vocoder.entra,
    'el final del vocoder': lambda t: t.vocoder.sale,
}


@pytest.mark.parametrize('pieza', PIEZAS)
def test_float16_que_se_desborda(pieza, apuntar):
    "En float16, o suena lo que en float32, o se dice que se ha desbordado: nunca ruido."
    e = (
        dict(texto='lluvia')
        if pieza == 'el texto'
        else dict(imagen='🌧')
        if pieza in ('la imagen', 'el Traductor')
        else dict(prompt_embeds=E[:1])
    )

    def oir(tipo, veces):
        "Lo que suena con los pesos de la pieza multiplicados, o nada, si se dice que se ha desbordado."
        t = cargar_tuberia(str(MINI), dtype=tipo)
        t.set_progress_bar_config(disable=True)
        peso = PIEZAS[pieza](t).weight
        antes = peso.data.clone()
        peso.data.mul_(veces)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter('ignore')
                return t(**e, segundos=0.32, pasos=2, guia=1.0, generator=generadores(0, 1))[0].muestras
        except (FloatingPointError, ValueError) as error:
            assert 'no son números' in str(error) or 'todos ceros' in str(error)
        finally:
            peso.data.copy_(antes)

    for veces in (1, 30, 1000, 60_000):
        if (b := oir(torch.float16, veces)) is not None:
            a = oir(torch.float32, veces)
            assert a is not None and np.corrcoef(a, b)[0, 1] > 0.9 and abs(a.std() / b.std() - 1) < 0.2, (
                f'{pieza} × {veces}: en float16 suena otra cosa y no se dice'
            )
        apuntar()


def test_misma_semilla_mismo_sonido(apuntar):
    """Otra vez, bit a bit. Repartido en otros lotes, igual hasta el redondeo:
    una suma de muchos números no se hace en el mismo orden con un lote de seis que con uno."""
    t = TUBERIA()
    t.set_progress_bar_config(disable=True)

    def suenan(partes):
        azar, i, salida = generadores(5, 6), 0, []
        for n in partes:
            salida += [
                s.muestras for s in t(prompt_embeds=E[i : i + n], segundos=0.32, pasos=2, generator=azar[i : i + n])
            ]
            i += n
        return np.stack(salida)

    de_una = suenan([6])
    assert np.array_equal(de_una, suenan([6]))
    for partes in ([1] * 6, [2] * 3, [5, 1], [1, 5], [3, 3]):
        otra = suenan(partes)
        assert np.abs(otra - de_una).max() < 1e-3 * np.abs(de_una).max(), partes
        apuntar()
