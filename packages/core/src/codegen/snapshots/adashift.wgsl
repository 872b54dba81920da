struct Frame {
  zero: u32,
  count: u32,
  first_partial: u32,
  at_p: u32,
  at_window0: u32,
  at_g: u32,
  at_g_10: u32,
  s_s21: f32,
  s_s33: f32,
  c2: f32, // 0
  c5: f32, // 0.15353399327876294
  c6: f32, // 0.9
  c11: f32, // 0.3486784401000001
}
@group(0) @binding(0) var<storage, read_write> data: array<f32>;
@group(0) @binding(1) var<uniform> frame: Frame;
@group(0) @binding(2) var<storage, read_write> partials: array<f32>;
var<workgroup> keys: array<i32, 256>;

// The number itself, through integers and an unknown 0: no compiler sees how it was computed.
fn seal(x: f32) -> f32 {
  return bitcast<f32>(bitcast<u32>(x) ^ frame.zero);
}

const INFINITE = 0x7f800000;

const LOWEST = -0x7f800000;

// An integer in the order of the numbers: 0 for both zeros, NaN beyond the infinities.
fn key(x: f32) -> i32 {
  let b = bitcast<i32>(x);
  return select(b, -(b & 0x7fffffff), b < 0);
}

fn number(k: i32) -> f32 {
  return select(bitcast<f32>(k), -bitcast<f32>(-k), k < 0);
}

fn is_nan(x: f32) -> bool {
  return abs(key(x)) > INFINITE;
}

// The key, NaN of either sign above all.
fn rank(x: f32) -> i32 {
  return select(key(x), 0x7fffffff, is_nan(x));
}

fn lt(a: f32, b: f32) -> bool {
  return key(a) < key(b) && !is_nan(a) && !is_nan(b);
}

fn max_of_group(x: i32, lane: u32) -> i32 {
  workgroupBarrier();
  keys[lane] = x;
  for (var width = 128u; width > 0u; width >>= 1u) {
    workgroupBarrier();
    if (lane < width) {
      keys[lane] = max(keys[lane], keys[lane + width]);
    }
  }
  return keys[lane];
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  var r0 = LOWEST;
  for (var k = 0u; k < 4u; k++) {
    let i = (4u * group.x + k) * 256u + lane;
    if (i < frame.count) {
      let x0 = data[frame.at_p + i];
      let x3 = lt(frame.c2, frame.s_s21);
      let x7 = data[frame.at_window0 + i];
      let x8 = seal(frame.c6 * x7);
      let x9 = data[frame.at_g + i];
      let x10 = seal(x8 + x9);
      let x12 = data[frame.at_g_10 + i];
      let x13 = seal(frame.c11 * x12);
      let x14 = seal(x10 - x13);
      let x15 = seal(frame.c5 * x14);
      let x16 = seal(frame.s_s33 * x15);
      let x17 = select(frame.c2, x16, x3);
      let x18 = seal(x0 - x17);
      let x19 = seal(x9 * x9);
      data[frame.at_p + i] = x18;
      data[frame.at_window0 + i] = x14;
      r0 = max(r0, rank(x19));
    }
  }
  let p0 = number(max_of_group(r0, lane));
  if (lane == 0u) {
    partials[frame.first_partial + 1u * group.x + 0u] = p0;
  }
}
