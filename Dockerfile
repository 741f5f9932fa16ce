# La aplicación de img2audio con el perfil mini dentro: ni GPU ni red. Sirve tal cual para un Space de Hugging Face.
#   make imagen                                   la construye
#   docker run --rm -p 7860:7860 img2audio        la sirve en http://localhost:7860
# De solo lectura: docker run --rm --read-only --tmpfs /tmp -e HOME=/tmp -p 7860:7860 img2audio
FROM python:3.11-slim-trixie

ENV PYTHONUTF8=1 PYTHONUNBUFFERED=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
# Un Space ejecuta con el número 1000. Su carpeta es la caché: ahí escriben matplotlib, numba y Jupyter.
RUN useradd --create-home --uid 1000 img2audio

# De lo que menos cambia a lo que más: torch (el de CPU), las demás dependencias y, al final, el código.
WORKDIR /opt/img2audio
ARG INDICE_TORCH=https://download.pytorch.org/whl/cpu
COPY constraints.txt ./
RUN pip install --no-cache-dir --no-deps --extra-index-url "$INDICE_TORCH" -c constraints.txt torch
COPY settings.ini setup.py pyproject.toml ./
RUN pip install --no-cache-dir -c constraints.txt '.[app]'
COPY img2audio img2audio
RUN pip install --no-cache-dir --no-deps --force-reinstall . && rm -rf build ./*.egg-info

USER 1000
WORKDIR /home/img2audio
# Otra cuenta de núcleos, otro puerto u otro sitio que pueda enseñarla en un marco se dan con -e.
ENV HOME=/home/img2audio HF_HUB_OFFLINE=1 OMP_NUM_THREADS=2 PORT=7860 MARCO=https://huggingface.co
# Que suene una vez: si no puede, no hay imagen; y las cachés se quedan hechas.
RUN img2audio 🐓 --segundos 1 --pasos 2 -o /tmp/prueba.wav && rm /tmp/prueba.wav

EXPOSE 7860
# Se pide un archivo de los que sirve la aplicación, y no la página, que abriría un núcleo en cada mirada.
HEALTHCHECK --interval=30s --timeout=10s --start-period=120s \
    CMD ["python", "-c", "import os, urllib.request as u; u.urlopen('http://127.0.0.1:' + os.environ['PORT'] + '/voila/templates/base/static/voila.js')"]
# Con exec, la aplicación es el proceso 1 y le llegan las señales: docker stop la cierra como Ctrl-C.
CMD ["sh", "-c", "exec img2audio_app --direccion 0.0.0.0 --puerto \"$PORT\" --marco \"$MARCO\" --sin_navegador"]
