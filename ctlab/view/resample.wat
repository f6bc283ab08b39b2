;; The two passes of a filter of four taps (filter.js) by eight pixels at a time, and their grey values.
;; resample.wasm is made of this file: wat2wasm resample.wat -o resample.wasm
(module
  (memory (export "memory") 1)

  ;; Along rows: each of `lines` lines of int16 at `image` becomes `count` float32 at `out`.
  ;; `start` holds for each output the byte in a line where its four pixels begin, `weight` its four weights.
  (func (export "rows")
    (param $image i32) (param $image_step i32) (param $start i32) (param $weight i32)
    (param $out i32) (param $out_step i32) (param $lines i32) (param $count i32)
    (local $i i32) (local $w i32) (local $s i32) (local $to i32) (local $v v128)
    (loop $line
      (local.set $i (local.get $count))
      (local.set $w (local.get $weight))
      (local.set $s (local.get $start))
      (local.set $to (local.get $out))
      (loop $pixel
        (local.set $v (f32x4.mul (v128.load (local.get $w))
          (f32x4.convert_i32x4_s (v128.load16x4_s (i32.add (local.get $image) (i32.load (local.get $s)))))))
        (local.set $v (f32x4.add (local.get $v)
          (i8x16.shuffle 8 9 10 11 12 13 14 15 0 1 2 3 4 5 6 7 (local.get $v) (local.get $v))))
        (f32.store (local.get $to) (f32.add (f32x4.extract_lane 0 (local.get $v)) (f32x4.extract_lane 1 (local.get $v))))
        (local.set $w (i32.add (local.get $w) (i32.const 16)))
        (local.set $s (i32.add (local.get $s) (i32.const 4)))
        (local.set $to (i32.add (local.get $to) (i32.const 4)))
        (br_if $pixel (local.tee $i (i32.sub (local.get $i) (i32.const 1)))))
      (local.set $image (i32.add (local.get $image) (local.get $image_step)))
      (local.set $out (i32.add (local.get $out) (local.get $out_step)))
      (br_if $line (local.tee $lines (i32.sub (local.get $lines) (i32.const 1))))))

  ;; Down columns: float32 lines at `image` become `rows` rows of `count` int16 at `out`, `count` a multiple
  ;; of eight, rounded to whole HU above -32768, which stands for padding. `line` holds for each row the
  ;; bytes where its four lines begin, `weight` its four weights.
  (func (export "columns")
    (param $image i32) (param $line i32) (param $weight i32) (param $out i32) (param $rows i32) (param $count i32)
    (local $i i32) (local $a i32) (local $b i32) (local $c i32) (local $d i32)
    (local $p v128) (local $q v128) (local $r v128) (local $s v128) (local $half v128) (local $least v128)
    (local.set $half (f32x4.splat (f32.const 0.5)))
    (local.set $least (i32x4.splat (i32.const -32767)))
    (loop $row
      (local.set $i (local.get $count))
      (local.set $a (i32.add (local.get $image) (i32.load offset=0 (local.get $line))))
      (local.set $b (i32.add (local.get $image) (i32.load offset=4 (local.get $line))))
      (local.set $c (i32.add (local.get $image) (i32.load offset=8 (local.get $line))))
      (local.set $d (i32.add (local.get $image) (i32.load offset=12 (local.get $line))))
      (local.set $p (v128.load32_splat offset=0 (local.get $weight)))
      (local.set $q (v128.load32_splat offset=4 (local.get $weight)))
      (local.set $r (v128.load32_splat offset=8 (local.get $weight)))
      (local.set $s (v128.load32_splat offset=12 (local.get $weight)))
      (loop $pixel
        (v128.store (local.get $out) (i16x8.narrow_i32x4_s
          (i32x4.max_s (local.get $least) (i32x4.trunc_sat_f32x4_s (f32x4.floor (f32x4.add (local.get $half) (f32x4.add
            (f32x4.add (f32x4.mul (local.get $p) (v128.load (local.get $a))) (f32x4.mul (local.get $q) (v128.load (local.get $b))))
            (f32x4.add (f32x4.mul (local.get $r) (v128.load (local.get $c))) (f32x4.mul (local.get $s) (v128.load (local.get $d)))))))))
          (i32x4.max_s (local.get $least) (i32x4.trunc_sat_f32x4_s (f32x4.floor (f32x4.add (local.get $half) (f32x4.add
            (f32x4.add (f32x4.mul (local.get $p) (v128.load offset=16 (local.get $a))) (f32x4.mul (local.get $q) (v128.load offset=16 (local.get $b))))
            (f32x4.add (f32x4.mul (local.get $r) (v128.load offset=16 (local.get $c))) (f32x4.mul (local.get $s) (v128.load offset=16 (local.get $d)))))))))))
        (local.set $out (i32.add (local.get $out) (i32.const 16)))
        (local.set $a (i32.add (local.get $a) (i32.const 32)))
        (local.set $b (i32.add (local.get $b) (i32.const 32)))
        (local.set $c (i32.add (local.get $c) (i32.const 32)))
        (local.set $d (i32.add (local.get $d) (i32.const 32)))
        (br_if $pixel (local.tee $i (i32.sub (local.get $i) (i32.const 8)))))
      (local.set $line (i32.add (local.get $line) (i32.const 16)))
      (local.set $weight (i32.add (local.get $weight) (i32.const 16)))
      (br_if $row (local.tee $rows (i32.sub (local.get $rows) (i32.const 1))))))

  ;; Grey values: a word of `table` for each of `count` pixels of 16 bits at `image`, to `out`.
  (func (export "paint") (param $image i32) (param $table i32) (param $out i32) (param $count i32)
    (loop $pixel
      (i32.store (local.get $out) (i32.load
        (i32.add (local.get $table) (i32.shl (i32.load16_u (local.get $image)) (i32.const 2)))))
      (local.set $image (i32.add (local.get $image) (i32.const 2)))
      (local.set $out (i32.add (local.get $out) (i32.const 4)))
      (br_if $pixel (local.tee $count (i32.sub (local.get $count) (i32.const 1)))))))
