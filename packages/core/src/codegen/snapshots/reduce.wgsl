struct Frame {
  zero: u32,
  count: u32,
  first_partial: u32,
  at_x: u32,
}
@group(0) @binding(0) var<storage, read_write> data: array<f32>;
@group(0) @binding(1) var<uniform> frame: Frame;
@group(0) @binding(2) var<storage, read_write> partials: array<f32>;
var<workgroup> sums: array<f32, 64>;
var<workgroup> keys: array<i32, 64>;

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

fn sum_of_group(x: f32, lane: u32) -> f32 {
  workgroupBarrier();
  sums[lane] = x;
  for (var width = 32u; width > 0u; width >>= 1u) {
    workgroupBarrier();
    if (lane < width) {
      sums[lane] = sums[lane] + sums[lane + width];
    }
  }
  return sums[lane];
}

fn max_of_group(x: i32, lane: u32) -> i32 {
  workgroupBarrier();
  keys[lane] = x;
  for (var width = 32u; width > 0u; width >>= 1u) {
    workgroupBarrier();
    if (lane < width) {
      keys[lane] = max(keys[lane], keys[lane + width]);
    }
  }
  return keys[lane];
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  var r0 = 0f;
  var r1 = LOWEST;
  for (var k = 0u; k < 4u; k++) {
    let i = (4u * group.x + k) * 64u + lane;
    if (i < frame.count) {
      let x0 = data[frame.at_x + i];
      let x1 = seal(x0 * x0);
      r0 += x1;
      r1 = max(r1, rank(x1));
    }
  }
  let p0 = sum_of_group(r0, lane);
  let p1 = number(max_of_group(r1, lane));
  if (lane == 0u) {
    partials[frame.first_partial + 2u * group.x + 0u] = p0;
    partials[frame.first_partial + 2u * group.x + 1u] = p1;
  }
}
