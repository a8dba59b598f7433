(() => {
  const { cells: CELLS, counterBits: COUNTER, checkBits: CHECK, contrast: CONTRAST, bright: BRIGHT, dark: DARK } = PARLEY_MARK;
  const canvas = document.createElement('canvas');
  canvas.width = CELLS * 4; canvas.height = 16;
  const context = canvas.getContext('2d', { willReadFrequently: true });
  const luma = (pixels, cell, row) => {
    let sum = 0;
    for (const y of [row, row + 1]) for (const x of [cell * 4 + 1, cell * 4 + 2]) {
      const at = (y * canvas.width + x) * 4;
      sum += 0.299 * pixels[at] + 0.587 * pixels[at + 1] + 0.114 * pixels[at + 2];
    }
    return sum / 4;
  };
  const ones = (value) => value.toString(2).replaceAll('0', '').length;
  const read = (video) => {
    if (!video || !video.videoWidth || video.readyState < 2) return null;
    context.drawImage(video, 0, 0, canvas.width, canvas.height);
    const pixels = context.getImageData(0, 0, canvas.width, canvas.height).data;
    let value = 0;
    for (let cell = 0; cell < CELLS; cell += 1) {
      const difference = luma(pixels, cell, 5) - luma(pixels, cell, 9);
      if (Math.abs(difference) < CONTRAST) return null;
      value = value * 2 + (difference > 0 ? 1 : 0);
    }
    const payload = value >> CHECK;
    if (ones(payload) % 4 !== (value & ((1 << CHECK) - 1))) return null;
    return { number: payload >> COUNTER, counter: payload & ((1 << COUNTER) - 1) };
  };

  const paint = (target, number, counter) => {
    const payload = (number << COUNTER) | counter;
    const value = (payload << CHECK) | (ones(payload) % 4);
    const brush = target.getContext('2d');
    const [width, height] = [target.width / CELLS, target.height / 4];
    brush.fillStyle = '#246';
    brush.fillRect(0, 0, target.width, target.height);
    for (let cell = 0; cell < CELLS; cell += 1) {
      const bit = (value >> (CELLS - 1 - cell)) & 1;
      for (const [row, level] of [[1, bit ? BRIGHT : DARK], [2, bit ? DARK : BRIGHT]]) {
        brush.fillStyle = `rgb(${level}, ${level}, ${level})`;
        brush.fillRect(cell * width, row * height, width, height);
      }
    }
  };

  const connections = [];
  const offers = [];
  const Native = window.RTCPeerConnection;
  if (Native) {
    const create = Native.prototype.createOffer;
    Native.prototype.createOffer = function (...rest) { offers.push(Date.now()); return create.apply(this, rest); };
    window.RTCPeerConnection = class extends Native {
      constructor(...rest) { super(...rest); connections.push(this); }
    };
  }

  let audio = null;
  const listeners = new Map();
  const listen = () => {
    audio ??= new AudioContext();
    if (audio.state !== 'running') audio.resume();
    for (const connection of connections) {
      if (connection.connectionState === 'closed') continue;
      for (const { track } of connection.getReceivers()) {
        if (track.kind !== 'audio' || listeners.has(track.id)) continue;
        const analyser = audio.createAnalyser();
        analyser.fftSize = 8192;
        analyser.smoothingTimeConstant = 0;
        audio.createMediaStreamSource(new MediaStream([track])).connect(analyser);
        listeners.set(track.id, analyser);
      }
    }
    return [...listeners.values()];
  };
  const loudest = (analyser, sampleRate = audio.sampleRate) => {
    const levels = new Float32Array(analyser.frequencyBinCount);
    analyser.getFloatFrequencyData(levels);
    let best = 0;
    for (let bin = 1; bin < levels.length; bin += 1) if (levels[bin] > levels[best]) best = bin;
    return { frequency: (best * sampleRate) / analyser.fftSize, level: levels[best] };
  };

  // Without a loudspeaker Firefox plays nothing, an AudioContext least of all; it still records, and decodes what it recorded.
  const RECORDED_MS = 500;
  const recorded = async (track) => {
    const recorder = new MediaRecorder(new MediaStream([track]));
    const parts = [];
    const stopped = new Promise((resolve) => { recorder.onstop = resolve; });
    recorder.ondataavailable = ({ data }) => parts.push(data);
    recorder.start();
    setTimeout(() => recorder.stop(), RECORDED_MS);
    await stopped;
    const sampleRate = 48000;
    const bytes = await new Blob(parts).arrayBuffer();
    const buffer = await new OfflineAudioContext(1, 1, sampleRate).decodeAudioData(bytes);
    const offline = new OfflineAudioContext(1, buffer.length, sampleRate);
    const analyser = Object.assign(offline.createAnalyser(), { fftSize: 8192, smoothingTimeConstant: 0 });
    const source = Object.assign(offline.createBufferSource(), { buffer });
    source.connect(analyser).connect(offline.destination);
    source.start();
    await offline.startRendering();
    return loudest(analyser, sampleRate);
  };
  const heard = () => connections.filter(({ connectionState }) => connectionState === 'connected')
    .flatMap((connection) => connection.getReceivers()).map(({ track }) => track).filter(({ kind }) => kind === 'audio');

  const tiles = () => [...document.querySelectorAll('[data-testid=tile]')].map((tile) => ({
    screen: tile.dataset.source === 'screen', participant: tile.dataset.participantId, name: tile.dataset.name, picture: read(tile.querySelector('video')),
    video: tile.querySelector('video') !== null, area: tile.clientWidth * tile.clientHeight,
  }));

  /** Watches one number's picture: how many changes it made, and the longest time without one, in milliseconds. */
  const follow = (number) => {
    const seen = { changes: 0, freeze: 0, counter: -1, time: performance.now() };
    setInterval(() => {
      const now = performance.now();
      const picture = tiles().map((tile) => tile.picture).find((found) => found?.number === number);
      if (picture && picture.counter !== seen.counter) {
        seen.changes += 1;
        seen.counter = picture.counter;
        seen.time = now;
      }
      seen.freeze = Math.max(seen.freeze, now - seen.time);
    }, 100);
    return seen;
  };
  const followed = new Map();

  /** Notes when each new frame of one number's picture was presented; see `steadiness`. */
  const watch = (number) => {
    const seen = { times: [], filmed: [], counter: -1, timestamp: 0, video: null, stopped: false };
    // A page that is busy is called for one frame of several. The browser counts them all; those between are taken to have been
    // evenly spread. Where the camera's very next picture is seen, no other was lost between: the
    // time from one to the next is the camera's own.
    const look = ({ presentationTime, presentedFrames, rtpTimestamp }, video, before) => {
      if (seen.stopped || video !== seen.video) return;
      const picture = read(video);
      if (picture?.number === number && picture.counter !== seen.counter) {
        const shown = Math.max(1, presentedFrames - (before ?? presentedFrames - 1));
        const last = seen.times.at(-1) ?? presentationTime;
        for (let nth = 1; nth <= shown; nth += 1) seen.times.push(last + ((presentationTime - last) * nth) / shown);
        if (picture.counter === seen.counter + 1) seen.filmed[seen.times.length - 1] = ((rtpTimestamp - seen.timestamp) >>> 0) / 90;
        [seen.counter, seen.timestamp] = [picture.counter, rtpTimestamp];
      }
      video.requestVideoFrameCallback((_, frame) => look(frame, video, presentedFrames));
    };
    const find = () => {
      if (seen.stopped) return;
      const video = [...document.querySelectorAll('[data-testid=tile] video')].find((one) => read(one)?.number === number);
      if (video && video !== seen.video) { seen.video = video; video.requestVideoFrameCallback((_, frame) => look(frame, video)); }
      setTimeout(find, 100);
    };
    find();
    return seen;
  };
  const watched = new Map();

  /** What happened since `watch`: milliseconds in all, and of those in gaps that WebRTC's statistics call a freeze. */
  const steadiness = (number, from) => {
    const seen = watched.get(number);
    seen.stopped = true;
    const until = performance.now();
    const gaps = [...seen.times, until].map((time, at, all) => time - (at ? all[at - 1] : from));
    const usual = [...gaps].sort((a, b) => a - b)[Math.floor(gaps.length / 2)];
    const isFreeze = (gap) => gap > Math.max(3 * usual, usual + 150);
    const freezes = gaps.filter(isFreeze);
    const sum = (some) => some.reduce((all, gap) => all + gap, 0);
    return {
      elapsed: until - from, frames: seen.times.length, usual, freezes: freezes.length, frozen: sum(freezes),
      unfilmed: sum(gaps.filter((gap, at) => isFreeze(gap) && isFreeze(seen.filmed[at]))), longest: Math.max(0, ...freezes),
    };
  };

  /** Sums of the inbound streams of all connections. */
  const inbound = async () => {
    const sums = { samples: 0, concealed: 0, packets: 0, lost: 0, nacks: 0, pictures: 0, bytes: 0, frozen: 0 };
    for (const connection of connections) {
      if (connection.connectionState === 'closed') continue;
      for (const report of (await connection.getStats()).values()) {
        if (report.type !== 'inbound-rtp') continue;
        sums.packets += report.packetsReceived; sums.lost += report.packetsLost; sums.bytes += report.bytesReceived;
        sums.nacks += report.nackCount ?? 0; sums.pictures += report.framesDecoded ?? 0; sums.frozen += report.totalFreezesDuration ?? 0;
        if (report.kind !== 'audio' || !report.packetsReceived) continue;
        sums.samples += report.totalSamplesReceived ?? 0;
        sums.concealed += (report.concealedSamples ?? 0) - (report.silentConcealedSamples ?? 0);
      }
    }
    return sums;
  };

  /** Lines of the largest picture of somebody else. */
  const height = () => Math.max(0, ...[...document.querySelectorAll('[data-testid=tile] video[data-slot]')]
    .map((video) => video.videoHeight));

  /** Frames encoded so far, by the encoding's RTP stream id. */
  const encoded = async () => {
    const rids = {};
    for (const connection of connections) {
      if (connection.connectionState !== 'connected') continue;
      for (const report of (await connection.getStats()).values()) {
        if (report.type === 'outbound-rtp' && report.rid) rids[report.rid] = report.framesEncoded ?? 0;
      }
    }
    return rids;
  };

  window.parleyTest = {
    connections, offers, read, paint, tiles, inbound, height, encoded, steadiness,
    watch: (number) => { watched.set(number, watch(number)); return performance.now(); },
    follow: (number) => { followed.set(number, follow(number)); },
    followed: (number) => followed.get(number),
    tones: async () => {
      const levels = /firefox/i.test(navigator.userAgent)
        ? (await Promise.allSettled(heard().map(recorded))).flatMap(({ value }) => value ?? [])
        : listen().map((analyser) => loudest(analyser));
      return levels.filter(({ level }) => level > -55).map(({ frequency }) => frequency);
    },
  };
})();
