// A program that keeps one RTCPeerConnection for its stay in a meeting and calls the REST API itself, without the web client.
(() => {
  const call = async (path, body, token) => {
    const headers = { 'content-type': 'application/json', ...(token && { authorization: `Bearer ${token}` }) };
    const response = await fetch(path, { method: 'POST', headers, body: JSON.stringify(body) });
    const answer = await response.json();
    if (!response.ok) throw new Error(`${path}: ${response.status} ${JSON.stringify(answer).slice(0, 500)}`);
    return answer;
  };

  /** A moving picture of this size. */
  const picture = (width, height) => {
    const canvas = Object.assign(document.body.appendChild(document.createElement('canvas')), { width, height });
    const brush = canvas.getContext('2d');
    let turn = 0;
    setInterval(() => {
      brush.fillStyle = `hsl(${(turn += 7) % 360} 80% 50%)`;
      brush.fillRect((turn * 3) % width, 0, width / 3, height);
    }, 40);
    const [track] = canvas.captureStream(25).getVideoTracks();
    // Its size tells which it is, whatever the bandwidth.
    track.contentHint = 'detail';
    return track;
  };

  const signIn = async () => {
    const email = `${crypto.randomUUID()}@example.com`;
    const made = await call('/v1/users:signUp', { email, password: 'correct horse battery', displayName: 'Program' });
    return made.credentials.accessToken;
  };

  class Program {
    peer = new RTCPeerConnection({ bundlePolicy: 'max-bundle' });
    sources = new Map();
    samples = new Map();

    /** Sends this, on an m-line of its own or, like addTrack, on one that is there. */
    send(source, track) {
      const sender = this.peer.addTrack(track);
      const transceiver = this.peer.getTransceivers().find((one) => one.sender === sender);
      if (transceiver.direction === 'sendrecv' && transceiver.mid === null) transceiver.direction = 'sendonly';
      this.sources.set(transceiver, source);
      return transceiver;
    }

    receive(kind) { return this.peer.addTransceiver(kind, { direction: 'recvonly' }); }

    async offer() {
      await this.peer.setLocalDescription(await this.peer.createOffer());
      const sends = ([transceiver]) => transceiver.mid !== null && /send/.test(transceiver.direction);
      const tracks = [...this.sources].filter(sends).map(([{ mid, receiver }, source]) => (
        { mid, kind: `TRACK_KIND_${receiver.track.kind.toUpperCase()}`, source: `TRACK_SOURCE_${source}` }));
      return { sdp: this.peer.localDescription.sdp, tracks };
    }

    async take(answer) { await this.peer.setRemoteDescription({ type: 'answer', sdp: answer.sdp }); }

    async join(meeting, token) {
      const request = { displayName: 'Program', requestId: crypto.randomUUID(), offer: await this.offer() };
      this.joined = await call(`/v1/${meeting}:join`, request, token);
      await this.take(this.joined.answer);
    }

    async renegotiate() {
      const request = { requestId: crypto.randomUUID(), offer: await this.offer() };
      const { name } = this.joined.participant;
      await this.take((await call(`/v1/${name}:renegotiateMedia`, request, this.joined.participantToken)).answer);
    }

    /** What has come on an m-line so far: frames or packets of sound, and the width of the picture. */
    async came(place) {
      const { receiver } = this.peer.getTransceivers()[place];
      for (const report of (await receiver.getStats()).values()) {
        if (report.type !== 'inbound-rtp') continue;
        const count = report.kind === 'audio' ? report.packetsReceived : report.framesDecoded;
        return { count: count ?? 0, width: report.frameWidth ?? 0, ssrc: report.ssrc };
      }
      return { count: 0, width: 0, ssrc: 0 };
    }

    /** Begins to note how long nothing comes on these m-lines. */
    watch(...places) {
      for (const place of places) {
        const sample = { at: performance.now(), count: -1, longest: 0 };
        this.samples.set(place, sample);
        setInterval(async () => {
          const { count } = await this.came(place);
          sample.longest = Math.max(sample.longest, performance.now() - sample.at);
          if (count !== sample.count) Object.assign(sample, { count, at: performance.now() });
        }, 50);
      }
    }

    /** The longest such time since then, in seconds, by m-line. */
    waits() { return Object.fromEntries([...this.samples].map(([place, { longest }]) => [place, longest / 1000])); }

    /** What must stay while the connection lives: its state and both sides' ICE user name fragments and SSRCs of slots. */
    identity() {
      const fragment = ({ sdp }) => sdp.match(/a=ice-ufrag:(.*)/)[1].trim();
      const { connectionState, currentLocalDescription, currentRemoteDescription } = this.peer;
      return [connectionState, fragment(currentLocalDescription), fragment(currentRemoteDescription)];
    }
  }

  window.programTest = { Program, picture, signIn, meeting: async (token) => (await call('/v1/meetings', { topic: 'API' }, token)).meeting.name };
})();
