// Numbers as a person reads them.

export function milliseconds(ms: number | null | undefined): string {
  if (ms === null || ms === undefined) return "–";
  if (ms < 10) return `${ms.toFixed(1)} ms`;
  if (ms < 1000) return `${Math.round(ms)} ms`;
  return `${(ms / 1000).toFixed(ms < 10_000 ? 2 : 1)} s`;
}

export function seconds(s: number): string {
  return `${s.toFixed(1)} s`;
}

export function bits(perSecond: number): string {
  if (perSecond <= 0) return "–";
  if (perSecond < 1_000_000) return `${Math.round(perSecond / 1000)} kb/s`;
  return `${(perSecond / 1_000_000).toFixed(1)} Mb/s`;
}

export function bytes(n: number): string {
  if (n < 1000) return `${n} B`;
  if (n < 1_000_000) return `${Math.round(n / 1000)} kB`;
  return `${(n / 1_000_000).toFixed(1)} MB`;
}

/** A share in parts per million, as a percentage. */
export function percent(ppm: number | null, digits = 1): string {
  return ppm === null ? "–" : `${(ppm / 10_000).toFixed(digits)} %`;
}

/** LPT of base units, with as many digits as a person reads: `1.43 M`, `12,300`, `0.52`. */
export function lpt(units: bigint | null): string {
  if (units === null) return "–";
  const tokens = Number(units / 10n ** 12n) / 1e6;
  if (tokens >= 1e6) return `${(tokens / 1e6).toFixed(2)} M`;
  if (tokens >= 1000) return Math.round(tokens).toLocaleString("en");
  return tokens.toFixed(tokens >= 10 || tokens === 0 ? 0 : 2);
}

/** Wei as a person reads them: `1.25 ETH`, `0.0042 ETH`, `80.5 gwei`, `7 wei`. */
export function ether(wei: bigint): string {
  if (wei === 0n) return "0 ETH";
  if (wei < 1_000_000n) return `${wei} wei`;
  const gwei = Number(wei) / 1e9;
  return gwei < 100_000 ? `${significant(gwei)} gwei` : `${significant(gwei / 1e9)} ETH`;
}

/** What wei are in US dollars; nothing where no rate is known. */
export function dollars(wei: bigint, usdPerEth: number | null): string {
  if (usdPerEth === null) return "";
  const usd = (Number(wei) / 1e18) * usdPerEth;
  return usd > 0 && usd < 0.01 ? `$${usd.toPrecision(2)}` : `$${usd.toFixed(2)}`;
}

/** Three or four digits that matter, never as a power of ten. */
function significant(n: number): string {
  return n.toLocaleString("en", { maximumSignificantDigits: 4 });
}

/** Pixels in thousands of millions, as transcoding is counted. */
export function pixels(n: number): string {
  if (n < 1e6) return `${n} pixels`;
  return n < 1e9 ? `${(n / 1e6).toFixed(0)} Mpx` : `${(n / 1e9).toFixed(n < 1e10 ? 2 : 0)} Gpx`;
}

/** A length of time as a person says it: `42 s`, `3 min`, `2 h 10 min`, `5 d 3 h`. */
export function span(totalSeconds: number): string {
  const s = Math.max(0, Math.floor(totalSeconds));
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min`;
  if (s < 86_400) return `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min`;
  return `${Math.floor(s / 86_400)} d ${Math.floor((s % 86_400) / 3600)} h`;
}

/** A position: `m:ss`, or `h:mm:ss`. */
export function clock(totalSeconds: number): string {
  const s = Math.max(0, Math.floor(totalSeconds));
  const two = (n: number): string => String(n).padStart(2, "0");
  const minutes = Math.floor(s / 60) % 60;
  return s < 3600 ? `${minutes}:${two(s % 60)}` : `${Math.floor(s / 3600)}:${two(minutes)}:${two(s % 60)}`;
}

export function plural(n: number, one: string, many = `${one}s`): string {
  return `${n} ${n === 1 ? one : many}`;
}
