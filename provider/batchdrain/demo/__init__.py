"""The guided run: embedded servers, real flights, a real Airflow."""
