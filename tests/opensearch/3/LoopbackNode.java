// SPDX-License-Identifier: Apache-2.0

import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.opensearch.Version;
import org.opensearch.analysis.common.CommonAnalysisModulePlugin;
import org.opensearch.common.settings.Settings;
import org.opensearch.index.mapper.MapperExtrasModulePlugin;
import org.opensearch.index.reindex.ReindexModulePlugin;
import org.opensearch.node.InternalSettingsPreparer;
import org.opensearch.node.Node;
import org.opensearch.painless.PainlessModulePlugin;
import org.opensearch.plugins.PluginInfo;
import org.opensearch.transport.Netty4ModulePlugin;

/** OpenSearch 3 takes its modules as descriptions. */
final class LoopbackNode extends Node {
    LoopbackNode(Settings settings) {
        super(
                InternalSettingsPreparer.prepareEnvironment(settings, Map.of(), null, () -> "loopback"),
                Stream.of(
                                Netty4ModulePlugin.class,
                                PainlessModulePlugin.class,
                                CommonAnalysisModulePlugin.class,
                                MapperExtrasModulePlugin.class,
                                ReindexModulePlugin.class)
                        .map(LoopbackNode::described)
                        .toList(),
                false);
    }

    private static PluginInfo described(Class<?> module) {
        String name = module.getName();
        return new PluginInfo(name, "on the classpath", "NA", Version.CURRENT, "21", name, null, List.of(), false);
    }
}
