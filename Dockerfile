# Apache Airflow's official image with batchdrain in it, for docker-compose.yaml.
#
# The slim image has Airflow and nothing else, so the versions that requirements.txt locks, the ones
# that the tests run with, disturb no other provider. pip checks the hash of everything that it
# installs, and takes of the lock only what the wheel needs: no tools, no tests.
ARG AIRFLOW_IMAGE=apache/airflow:slim-3.3.2-python3.11

FROM ${AIRFLOW_IMAGE} AS wheel
WORKDIR /tmp/source
COPY --chown=airflow:0 requirements.txt ./
RUN pip install --no-cache-dir --constraint requirements.txt hatchling
COPY --chown=airflow:0 pyproject.toml README.md LICENSE ./
COPY --chown=airflow:0 provider ./provider
RUN pip wheel --no-cache-dir --no-deps --no-build-isolation --wheel-dir /tmp/wheel .
# A file without a hash is refused as soon as anything else has one.
RUN sha256sum /tmp/wheel/*.whl | sed 's|^\([0-9a-f]*\) *\(.*\)$|\2 --hash=sha256:\1|' >/tmp/wheel/wheel.txt

FROM ${AIRFLOW_IMAGE}
COPY --from=wheel --chown=airflow:0 /tmp/source/requirements.txt /tmp/wheel/*.whl /tmp/wheel/wheel.txt /tmp/wheel/
RUN pip install --no-cache-dir --constraint /tmp/wheel/requirements.txt --requirement /tmp/wheel/wheel.txt
# Fails the build if Airflow does not start with these versions, or does not see the provider.
# The folder apart keeps the keys that Airflow makes up for its first airflow.cfg out of the image.
RUN AIRFLOW_HOME=/tmp/check airflow providers get batchdrain && rm -r /tmp/check
COPY --chown=airflow:0 deploy/airflow_init.py deploy/airflow_health.py deploy/demo_tables.py /opt/batchdrain/
# A named volume takes over owner and mode of the folder that it covers.
RUN mkdir --mode=0770 /opt/airflow/auth
