// SPDX-License-Identifier: Apache-2.0

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicReference;
import org.opensearch.common.settings.Settings;
import org.opensearch.http.HttpServerTransport;
import org.opensearch.node.Node;

/**
 * One OpenSearch node on a free port of 127.0.0.1, in a temporary folder. Arguments: settings as name=value.
 *
 * <p>It prints its URL when it is ready, and ends when its standard input does: so it never outlives the process that
 * started it. There is no bootstrap, and so no security manager and no bootstrap checks.
 */
public final class Loopback {
    private Loopback() {}

    public static void main(String[] arguments) throws Exception {
        Path home = Files.createTempDirectory("opensearch-");
        Settings.Builder settings = Settings.builder()
                .put("path.home", home)
                .put("cluster.name", "loopback")
                .put("node.name", "loopback")
                .put("discovery.type", "single-node")
                .put("network.host", "127.0.0.1")
                .put("http.type", "netty4")
                .put("http.port", "0")
                .put("transport.type", "netty4")
                .put("transport.port", "0")
                .put("cluster.routing.allocation.disk.threshold_enabled", false);
        for (String argument : arguments) {
            String[] setting = argument.split("=", 2);
            settings.put(setting[0], setting[1]);
        }
        var started = new AtomicReference<Node>();
        // Both before the node, which may refuse its settings, and takes seconds to start.
        Runtime.getRuntime().addShutdownHook(new Thread(() -> stop(started.get(), home)));
        var input = new Thread(Loopback::endWithInput);
        input.setDaemon(true);
        input.start();
        Node node = new LoopbackNode(settings.build());
        started.set(node);
        node.start();
        int port = node.injector().getInstance(HttpServerTransport.class).boundAddress().publishAddress().getPort();
        System.out.println("http://127.0.0.1:" + port);
        input.join();
    }

    private static void endWithInput() {
        try {
            while (System.in.read() >= 0) {}
        } catch (IOException error) {
            System.err.println("could not read standard input: " + error);
        }
        System.exit(0);
    }

    private static void stop(Node node, Path home) {
        try {
            if (node != null) {
                node.close();
                node.awaitClose(10, TimeUnit.SECONDS);
            }
            try (var files = Files.walk(home)) {
                for (Path file : files.sorted(Comparator.reverseOrder()).toList()) Files.delete(file);
            }
        } catch (IOException error) {
            System.err.println("could not delete " + home + ": " + error);
        } catch (InterruptedException error) {
            Thread.currentThread().interrupt();
        }
    }
}
