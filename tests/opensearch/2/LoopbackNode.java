// SPDX-License-Identifier: Apache-2.0

import java.util.List;
import java.util.Map;
import org.opensearch.analysis.common.CommonAnalysisPlugin;
import org.opensearch.common.settings.Settings;
import org.opensearch.index.mapper.MapperExtrasPlugin;
import org.opensearch.index.reindex.ReindexPlugin;
import org.opensearch.node.InternalSettingsPreparer;
import org.opensearch.node.Node;
import org.opensearch.painless.PainlessPlugin;
import org.opensearch.transport.Netty4Plugin;

/** OpenSearch 2 takes its modules as classes. */
final class LoopbackNode extends Node {
    LoopbackNode(Settings settings) {
        super(
                InternalSettingsPreparer.prepareEnvironment(settings, Map.of(), null, () -> "loopback"),
                List.of(
                        Netty4Plugin.class,
                        PainlessPlugin.class,
                        CommonAnalysisPlugin.class,
                        MapperExtrasPlugin.class,
                        ReindexPlugin.class),
                false);
    }
}
