#include <QtSql>
#include <QtWidgets>

int main(int argc, char **argv) {
    QApplication app(argc, argv);
    QLabel label("indir");
    label.resize(120, 40);
    label.show();
    QImage image(2, 2, QImage::Format_RGB32);
    image.fill(Qt::red);
    QByteArray jpeg;
    QBuffer buffer(&jpeg);
    buffer.open(QIODevice::WriteOnly);
    image.save(&buffer, "JPEG");
    QTextStream out(stdout);
    out << QGuiApplication::platformName() << " " << label.grab().size().width() << " "
        << QImage::fromData(jpeg).width() << " "
        << QSqlDatabase::addDatabase("QSQLITE").isValid() << "\n";
    out.flush();
    QFile maps("/proc/self/maps"), copy;
    maps.open(QIODevice::ReadOnly);
    copy.open(3, QIODevice::WriteOnly);
    copy.write(maps.readAll());
    copy.flush();
    QTimer::singleShot(100, &app, &QApplication::quit);
    return app.exec();
}
