// Runs in the page before anything else: blocks ways to the media node, and tells which way a connection took.
(() => {
  const reach = { mode: "any", dead: 0, connections: [], times: new WeakMap() };
  window.parleyReach = reach;
  const native = RTCPeerConnection.prototype;
  const { setRemoteDescription, setConfiguration } = native;

  // "a=candidate:<foundation> <component> <protocol> <priority> <address> <port> ..." (RFC 8839 section 5.1)
  const candidates = (sdp, change) =>
    sdp.replace(/^a=candidate:.*\r\n/gm, (line) => {
      const fields = line.split(" ");
      return change(fields) ? fields.join(" ") : "";
    });

  // A dead port takes what is sent and never answers, as a firewall that drops.
  const block = (fields) => {
    fields[5] = String(reach.dead);
    return true;
  };

  const ways = {
    any: (sdp) => sdp,
    tcp: (sdp) => candidates(sdp, (fields) => (fields[2] === "udp" ? block(fields) : true)),
    relay: (sdp, connection) =>
      connection.getConfiguration().iceTransportPolicy === "relay" ? sdp : candidates(sdp, block),
    ipv6: (sdp) => candidates(sdp, (fields) => fields[4].includes(":")),
  };

  native.setRemoteDescription = async function (description) {
    if (!reach.connections.includes(this)) {
      reach.connections.push(this);
      const began = performance.now();
      this.addEventListener("connectionstatechange", () => {
        if (this.connectionState === "connected" && !reach.times.has(this)) {
          reach.times.set(this, performance.now() - began);
        }
      });
    }
    return setRemoteDescription.call(this, { type: description.type, sdp: ways[reach.mode](description.sdp, this) });
  };

  native.setConfiguration = function (configuration) {
    const relayed = reach.mode === "relay" && configuration.iceServers.length > 0;
    setConfiguration.call(this, relayed ? { ...configuration, iceTransportPolicy: "relay" } : configuration);
  };

  // The way of the newest connection: candidates of both ends, and milliseconds from the answer to being connected.
  reach.way = async () => {
    const connection = reach.connections.at(-1);
    if (!connection) {
      return null;
    }
    const stats = await connection.getStats();
    const transport = [...stats.values()].find(({ type }) => type === "transport");
    // Firefox has no transport in its statistics, but marks the pair.
    const pair = stats.get(transport?.selectedCandidatePairId) ?? [...stats.values()].find(({ selected }) => selected);
    if (!pair) {
      return null;
    }
    const { protocol, candidateType: type } = stats.get(pair.localCandidateId);
    const { address } = stats.get(pair.remoteCandidateId);
    return {
      protocol,
      type,
      address,
      state: connection.connectionState,
      milliseconds: reach.times.get(connection) ?? null,
      connections: reach.connections.length,
    };
  };
})();
