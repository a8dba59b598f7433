(() => {
  const links = new Map();
  const link = (id) => {
    if (!links.has(id)) {
      const connection = new RTCPeerConnection({ bundlePolicy: 'max-bundle' });
      connection.addEventListener('track', ({ track }) => show(track));
      links.set(id, connection);
    }
    return links.get(id);
  };

  /** Pictures stand in tiles, as the probe expects them; sound plays. */
  const show = (track) => {
    const element = document.createElement(track.kind);
    element.autoplay = true;
    element.srcObject = new MediaStream([track]);
    const tile = document.createElement('div');
    tile.dataset.testid = 'tile';
    tile.append(element);
    document.body.append(tile);
  };

  /** The server must answer where the checks come from, so that nothing goes around an impaired way. */
  const described = ({ sdp }, renamed = new Map()) => {
    let text = sdp.replace(/^a=(candidate|end-of-candidates).*\r\n/gm, '');
    for (const [id, name] of renamed) text = text.replaceAll(id, name);
    return { sdp: text };
  };

  window.peerWindow = {
    async offer({ id, send, width, height }) {
      const connection = link(id);
      const media = await navigator.mediaDevices.getUserMedia({ audio: true, video: { width, height } });
      const names = new Map();
      for (const { kind, source } of send) {
        const track = media.getTracks().find((one) => one.kind === kind);
        connection.addTransceiver(track, { direction: 'sendonly', streams: [media] });
        names.set(track.id, source);
      }
      await connection.setLocalDescription(await connection.createOffer());
      return described(connection.localDescription, names);
    },
    async answer({ id, sdp }) {
      await link(id).setRemoteDescription({ type: 'answer', sdp });
      return {};
    },
    async accept({ id, sdp }) {
      const connection = link(id);
      await connection.setRemoteDescription({ type: 'offer', sdp });
      await connection.setLocalDescription(await connection.createAnswer());
      return described(connection.localDescription);
    },
    async candidate({ id, candidate }) {
      const line = window.parleyRelay ? await window.parleyRelay(`a=${candidate}\r\n`) : `a=${candidate}`;
      await link(id).addIceCandidate({ candidate: line.trim().slice(2), sdpMLineIndex: 0 });
      return {};
    },
  };
})();
