struct Frame {
  zero: u32,
  count: u32,
  first_partial: u32,
  at_p: u32,
  at_mu: u32,
  at_g: u32,
  at_nu: u32,
  s_s11: f32,
  s_s12: f32,
  s_s13: f32,
  s_s15: f32,
}
@group(0) @binding(0) var<storage, read_write> data: array<f32>;
@group(0) @binding(1) var<uniform> frame: Frame;

// The number itself, through integers and an unknown 0: no compiler sees how it was computed.
fn seal(x: f32) -> f32 {
  return bitcast<f32>(bitcast<u32>(x) ^ frame.zero);
}

// The square root of 0 is outside what WGSL promises, being 1 / inverseSqrt(0).
fn root(x: f32) -> f32 {
  return select(sqrt(x), x, (bitcast<u32>(x) << 1u) == 0u);
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  for (var k = 0u; k < 4u; k++) {
    let i = (4u * group.x + k) * 256u + lane;
    if (i < frame.count) {
      let x0 = data[frame.at_p + i];
      let x2 = data[frame.at_mu + i];
      let x3 = data[frame.at_g + i];
      let x4 = seal(x3 - x2);
      let x6 = seal(x4 * frame.s_s12);
      let x7 = seal(x2 + x6);
      let x8 = seal(frame.s_s11 * x7);
      let x9 = data[frame.at_nu + i];
      let x10 = seal(x3 * x3);
      let x11 = seal(x10 - x9);
      let x13 = seal(x11 * frame.s_s13);
      let x14 = seal(x9 + x13);
      let x15 = seal(root(x14));
      let x17 = seal(x15 + frame.s_s15);
      let x18 = seal(x8 / x17);
      let x19 = seal(x0 - x18);
      data[frame.at_p + i] = x19;
      data[frame.at_mu + i] = x7;
      data[frame.at_nu + i] = x14;
    }
  }
}
