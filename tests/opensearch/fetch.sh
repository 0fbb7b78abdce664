#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Fetches OpenSearch 2.19.6 and 3.9.0 from Maven's repository into target/opensearch/2 and 3, compiles the program that
# runs one of them on loopback, and writes how to start it: `target/opensearch/2/run`. What is there already is left as
# it is, and then no network is needed.
#
# OpenSearch 2 runs on Java 17, 3 on Java 21 or newer. A version without its Java is left out, and a line says so.
set -euo pipefail
cd "$(dirname "$0")/../.."
sources=tests/opensearch

# The JDK, of those that there are, with the lowest version from $1 on; prints its folder.
jdk() {
    local home version best= lowest=
    for home in "${JAVA_HOME:-}" /usr/lib/jvm/* "$(dirname "$(dirname "$(readlink -f "$(command -v javac || echo /none/bin/none)")")")"; do
        [[ -n $home && -x $home/bin/java && -x $home/bin/javac ]] || continue
        version=$("$home/bin/java" -version 2>&1 | sed -n 's/.* version "\([0-9]*\).*/\1/p')
        if [[ ${version:-0} -ge $1 && ( -z $lowest || $version -lt $lowest ) ]]; then
            best=$home lowest=$version
        fi
    done
    [[ -n $best ]] && echo "$best"
}

# $1: the major version; $2: the version; $3: the oldest Java that it runs on; then more arguments of that Java.
fetch() {
    local major=$1 version=$2 oldest=$3 home folder=$PWD/target/opensearch/$1 made
    shift 3
    if ! home=$(jdk "$oldest"); then
        echo "left out: OpenSearch $version, since no JDK $oldest or newer is in JAVA_HOME, in /usr/lib/jvm or on the PATH" >&2
        return
    fi
    made=$(cat "$sources/fetch.sh" "$sources/pom.xml" "$sources/Loopback.java" "$sources/$major/LoopbackNode.java" | sha256sum)
    if [[ -x $folder/run && $(cat "$folder/made" 2>/dev/null) == "$made $home" ]]; then
        return
    fi
    if ! command -v mvn >/dev/null; then
        echo "left out: OpenSearch $version, since mvn (Maven) is not on the PATH" >&2
        return
    fi
    rm -rf "$folder"
    mvn --quiet --batch-mode -Dstyle.color=never --file "$sources/pom.xml" -Dopensearch="$version" \
        org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies -DoutputDirectory="$folder/lib"
    "$home/bin/javac" -d "$folder/classes" -cp "$folder/lib/*" "$sources/Loopback.java" "$sources/$major/LoopbackNode.java"
    printf '#!/bin/sh\nexec "%s/bin/java" -Xmx512m %s -cp "%s/classes:%s/lib/*" Loopback "$@"\n' \
        "$home" "$*" "$folder" "$folder" >"$folder/run"
    chmod +x "$folder/run"
    echo "$made $home" >"$folder/made"
}

fetch 2 2.19.6 17
fetch 3 3.9.0 21 --add-modules jdk.incubator.vector --enable-native-access=ALL-UNNAMED
