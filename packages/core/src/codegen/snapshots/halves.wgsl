struct Frame {
  zero: u32,
  count: u32,
  first_partial: u32,
  base: u32,
  key: u32,
  at_p: u32,
  at_mu: u32,
}
@group(0) @binding(0) var<storage, read_write> data: array<u32>;
@group(0) @binding(1) var<uniform> frame: Frame;

// The number itself, through integers and an unknown 0: no compiler sees how it was computed.
fn seal(x: f32) -> f32 {
  return bitcast<f32>(bitcast<u32>(x) ^ frame.zero);
}

const INFINITE = 0x7f800000;

// An integer in the order of the numbers: 0 for both zeros, NaN beyond the infinities.
fn key(x: f32) -> i32 {
  let b = bitcast<i32>(x);
  return select(b, -(b & 0x7fffffff), b < 0);
}

fn is_nan(x: f32) -> bool {
  return abs(key(x)) > INFINITE;
}

fn mix(x: u32) -> u32 {
  let h = (x ^ (x >> 16u)) * 2146121005u;
  let l = (h ^ (h >> 15u)) * 2221713035u;
  return l ^ (l >> 16u);
}

// 24 bits: neither the conversion nor the scaling rounds.
fn uniform_at(index: u32, salt: u32) -> f32 {
  return seal(f32(mix(mix(index) + frame.key + salt) >> 8u) * 0x1p-24f);
}

// The upper half of a number's bits after a carry from the lower; NaN is the quiet one.
fn round_bits(x: f32, carry: u32) -> f32 {
  return bitcast<f32>(select((bitcast<u32>(x) + carry) & 0xffff0000u, 0x7fc00000u, is_nan(x)));
}

fn nearest(x: f32) -> f32 {
  return round_bits(x, 0x7fffu + ((bitcast<u32>(x) >> 16u) & 1u));
}

fn stochastic(x: f32, u: f32) -> f32 {
  return round_bits(x, sixteenth(bitcast<u32>(u)));
}

// u brought into [0, 1], times 2¹⁶, rounded down, at most 2¹⁶ - 1, from the bits of u; 0 for NaN.
fn sixteenth(b: u32) -> u32 {
  let fraction = ((b & 0x7fffffu) | 0x800000u) >> min(134u - min(b >> 23u, 126u), 31u);
  return select(select(fraction, 0xffffu, b >= 0x3f800000u), 0u, b > 0x7f800000u);
}

fn half_at(i: u32) -> f32 {
  return bitcast<f32>((data[i >> 1u] >> (16u * (i & 1u))) << 16u);
}

fn put_half(i: u32, x: f32) {
  let upper = select(bitcast<u32>(x) >> 16u, 0x7fc0u, is_nan(x));
  let shift = 16u * (i & 1u);
  data[i >> 1u] = (data[i >> 1u] & ~(0xffffu << shift)) | (upper << shift);
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  for (var k = 0u; k < 4u; k++) {
    let i = 2u * ((2u * group.x + (k >> 1u)) * 256u + lane) + (k & 1u) - (frame.at_mu & 1u);
    if (i < frame.count) {
      let x0 = bitcast<f32>(data[frame.at_p + i]);
      let x1 = half_at(frame.at_mu + i);
      let x2 = uniform_at(frame.base + i, 4294967295u);
      let x3 = seal(x0 + x1);
      let x4 = stochastic(x3, x2);
      let x5 = nearest(x3);
      data[frame.at_p + i] = bitcast<u32>(x5);
      put_half(frame.at_mu + i, x4);
    }
  }
}
