"""The guide's own name for the application: `flask run` and `python app.py` start here."""

from demijohn.app import create_app

app = create_app()

if __name__ == "__main__":
    app.run(app.config["HOST"], app.config["PORT"])
