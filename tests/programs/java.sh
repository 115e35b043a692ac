# packages: openjdk-17-jre-headless
# adopt: /usr/lib/jvm/java-17-openjdk-amd64/bin/java
# plugins: /usr/lib/jvm/java-17-openjdk-amd64/lib
# link: /usr/lib/jvm/java-17-openjdk-amd64/lib lib
# The launcher opens libjvm by a path beside itself, and that its own libraries.
cat >Main.java <<'JAVA'
import java.net.*; import java.nio.file.*; import java.security.*; import java.util.*; import java.util.stream.*;
public class Main {
    public static void main(String[] args) throws Exception {
        System.out.println(IntStream.range(0, 100000).parallel().mapToLong(n -> n % 7).sum());
        byte[] digest = MessageDigest.getInstance("SHA-256").digest("indir".getBytes());
        System.out.println(HexFormat.of().formatHex(digest));
        ServerSocket server = new ServerSocket(0, 1, InetAddress.getLoopbackAddress());
        Thread thread = new Thread(() -> { try (Socket peer = server.accept()) { peer.getOutputStream().write(42); } catch (Exception e) { e.printStackTrace(); } });
        thread.start();
        try (Socket socket = new Socket(InetAddress.getLoopbackAddress(), server.getLocalPort())) { System.out.println(socket.getInputStream().read()); }
        java.util.zip.CRC32 crc = new java.util.zip.CRC32(); crc.update(digest); System.out.println(crc.getValue());
        Files.copy(Path.of("/proc/self/maps"), Path.of("maps"));
    }
}
JAVA
"$BIN/java" -Xmx256m -Xshare:auto Main.java 2>err || cat err
cat maps >&3
