# img2audio: órdenes del proyecto. `make` a secas las enumera.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := ayuda

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV   ?= .venv
BIN    := $(VENV)/bin
LISTO  := $(VENV)/.listo

# El torch de CPU ocupa la décima parte que el de CUDA. Con GPU: make entorno INDICE_TORCH=https://pypi.org/simple
INDICE_TORCH ?= https://download.pytorch.org/whl/cpu

# Para make demo: una imagen, un emoji o una URL, y adónde va lo que suena.
IMAGEN ?= 🐓
SALIDA ?= salida

export PYTHONUTF8 := 1
SIN_RED := HF_HUB_OFFLINE=1 TRANSFORMERS_OFFLINE=1 HF_DATASETS_OFFLINE=1 HF_HUB_DISABLE_TELEMETRY=1
# Varios cuadernos o archivos de pruebas a la vez, un hilo cada uno
PRUEBAS := $(SIN_RED) TOKENIZERS_PARALLELISM=false OMP_NUM_THREADS=1 PATH="$(CURDIR)/$(BIN):$$PATH"

.PHONY: ayuda help entorno demo test lab app galeria captura export readme hooks fijar limpiar

ayuda help: ## enumera las órdenes
	@echo "Órdenes de img2audio:"
	@grep -hE '^[a-z][a-z -]*:.*## ' $(firstword $(MAKEFILE_LIST)) | sed -E 's/^([a-z -]+):[^#]*## (.*)/\1\t\2/' | while IFS=$$'\t' read -r n t; do printf '  make %-18s %s\n' "$$n" "$$t"; done

entorno: $(LISTO) ## crea .venv con las versiones de constraints.txt

# Solo se rehace si cambian las versiones o los requisitos
$(LISTO): constraints.txt settings.ini
	@if [ ! -x $(BIN)/python ]; then \
	  "$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Hace falta Python 3.11 o posterior: make PYTHON=/ruta/a/python3.11" >&2; exit 1; }; \
	  "$(PYTHON)" -m venv $(VENV); fi
	$(BIN)/python -m pip install -q --retries 1 --no-deps --extra-index-url $(INDICE_TORCH) -c constraints.txt torch
	$(BIN)/python -m pip install -q -c constraints.txt -e '.[dev,escala]'
	@touch $@

demo: $(LISTO) ## sonoriza una imagen: make demo IMAGEN=foto.jpg
	@mkdir -p "$(SALIDA)"
	@$(SIN_RED) $(BIN)/python -m img2audio "$(IMAGEN)" -o "$(SALIDA)/demo.wav" --lamina "$(SALIDA)/demo.png"
	@for f in demo.wav demo.png; do [ -s "$(SALIDA)/$$f" ] || { echo "No se escribió $(SALIDA)/$$f" >&2; exit 1; }; done
	@printf 'Sonido: %s\nLámina: %s\n' "$(abspath $(SALIDA))/demo.wav" "$(abspath $(SALIDA))/demo.png"

test: $(LISTO) ## prueba los cuadernos, los módulos, el README y lo demás
	$(PRUEBAS) $(BIN)/nbdev_test --n_workers 2 --do_print --timing
	$(PRUEBAS) $(BIN)/python herramientas/comprobar_export.py
	$(BIN)/ruff check -q
	$(BIN)/ruff format --check -q tests herramientas
	$(PRUEBAS) $(BIN)/python herramientas/leeme.py --comprobar
	$(PRUEBAS) $(BIN)/python -m pytest tests/ -n 3 --dist loadfile --no-loadscope-reorder

.PHONY: prueba

prueba: $(LISTO) ## prueba un cuaderno solo: make prueba CUADERNO=03_traductor
	$(PRUEBAS) $(BIN)/nbdev_test --path "nbs/$(CUADERNO).ipynb" --n_workers 1 --do_print

.PHONY: minimas

# De las dependencias directas, la versión más baja que admite settings.ini; lo demás, lo más nuevo que casa con ellas
minimas: ## las pruebas, con las versiones más bajas que admite settings.ini (en .venv-minimas)
	[ -x .venv-minimas/bin/python ] || "$(PYTHON)" -m venv .venv-minimas
	.venv-minimas/bin/python -m pip install -q uv
	.venv-minimas/bin/uv pip install -q --python .venv-minimas/bin/python --resolution lowest-direct \
	  --index-strategy unsafe-best-match --extra-index-url $(INDICE_TORCH) -e '.[dev,escala]'
	touch .venv-minimas/.listo
	$(MAKE) test VENV=.venv-minimas

.PHONY: entorno-originales test-originales

# laion_clap y audioldm no caben en .venv (piden numpy 1): tienen su entorno, y make test no lo necesita
LISTO_ORIGINALES := .venv-originales/.listo

entorno-originales: $(LISTO_ORIGINALES) ## crea .venv-originales, para laion_clap y audioldm (con Python 3.11, o con uv)

$(LISTO_ORIGINALES): requirements-originales.txt herramientas/entorno_originales.sh
	bash herramientas/entorno_originales.sh
	@touch $@

test-originales: $(LISTO) $(LISTO_ORIGINALES) ## prueba los paquetes originales en su entorno
	$(PRUEBAS) EXIGIR_ORIGINALES=1 $(BIN)/python -m pytest tests/test_originales.py

lab: $(LISTO) ## abre JupyterLab en los cuadernos
	@[ "$$(id -u)" != 0 ] || echo "Es usted root, como en un contenedor: JupyterLab se abre con --allow-root."
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/jupyter lab $$([ "$$(id -u)" != 0 ] || echo --allow-root) nbs/

app: $(LISTO) ## abre la aplicación en el navegador
	@$(BIN)/img2audio_app

galeria: $(LISTO) ## rehace la galería, nbs/puertas/galeria.ipynb, con los pesos del paquete
	$(SIN_RED) OMP_NUM_THREADS=1 $(BIN)/python herramientas/ejecutar.py puertas/galeria

captura: $(LISTO) ## rehace nbs/puertas/aplicacion.png, la captura de la aplicación (necesita Chromium)
	EXIGIR_NAVEGADOR=1 CAPTURAS=capturas $(PRUEBAS) $(BIN)/python -m pytest tests/test_aplicacion.py -k voila
	cp capturas/aplicacion.png nbs/puertas/aplicacion.png

.PHONY: imagen espacio

DOCKER ?= docker
ESPACIO ?=

imagen: ## construye la imagen de Docker de la aplicación (con make imagen DOCKER=podman, la de Podman)
	$(DOCKER) build -t img2audio .
	@echo "Para servirla en http://localhost:7860: $(DOCKER) run --rm -p 7860:7860 img2audio"

espacio: $(LISTO) ## prepara un Space de Hugging Face en build/espacio; con ESPACIO=usuario/nombre, lo sube
	$(BIN)/python herramientas/espacio.py $(if $(ESPACIO),--subir "$(ESPACIO)")

export: $(LISTO) ## escribe img2audio/ a partir de los cuadernos
	$(BIN)/nbdev_export

readme: $(LISTO) ## escribe README.md a partir de nbs/index.ipynb
	$(BIN)/python herramientas/leeme.py

.PHONY: auditar

# En un entorno propio, para que sus requisitos no muevan los nuestros. Pregunta a pypi.org por cada versión de constraints.txt
auditar: ## busca fallos de seguridad conocidos en las versiones fijadas (necesita red)
	@[ -x build/auditar/bin/pip-audit ] || { "$(PYTHON)" -m venv build/auditar && build/auditar/bin/python -m pip install -q pip-audit==2.9.0; }
	build/auditar/bin/pip-audit --strict --no-deps --disable-pip -r constraints.txt

.PHONY: sitio navegador quarto

quarto:
	@command -v quarto >/dev/null || { echo "Falta Quarto, 1.4 o posterior. Instálelo desde https://quarto.org/docs/get-started/ y repita «make sitio»." >&2; exit 1; }
	@v="$$(quarto --version)"; printf '1.4\n%s\n' "$$v" | sort -VC || { echo "Hace falta Quarto 1.4 o posterior, y este es el $$v: https://quarto.org/docs/get-started/" >&2; exit 1; }

# El README va primero: si no fuera más nuevo que el cuaderno, nbdev lo escribiría con Quarto
sitio: quarto $(LISTO) ## construye el sitio en _docs/ (necesita Quarto)
	$(BIN)/python herramientas/leeme.py
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/nbdev_docs

navegador: ## instala Chromium y pandoc, para las pruebas del sitio (Debian, como root)
	@falta=""; command -v chromium chromium-browser google-chrome >/dev/null || falta="chromium fonts-noto-color-emoji"; \
	command -v pandoc >/dev/null || falta="$$falta pandoc"; \
	if [ -z "$$falta" ]; then echo "Ya están Chromium y pandoc."; \
	elif [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -yq --no-install-recommends $$falta; \
	else echo "Instale $$falta (en Debian: sudo apt install $$falta). La ruta de otro navegador se da en IMG2AUDIO_NAVEGADOR." >&2; exit 1; fi

hooks: $(LISTO) ## ganchos de nbdev: cuadernos limpios en git y en Jupyter (escribe en ~/.jupyter)
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/nbdev_install_hooks

fijar: ## reescribe constraints.txt con las versiones de .venv
	$(BIN)/python herramientas/fijar.py

limpiar: ## borra lo que producen las órdenes (no el entorno)
	rm -rf "$(SALIDA)" build dist _docs _proc .pytest_cache
