package main

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"image/png"
	"math"
	"strings"
	"testing"

	"posemesh"
	"posemesh/postest"
)

const square = "0 1 0\n1 2 0\n0 3 -1\n1 4 -1\n"

func runOn(data string, meta any) postest.Outcome {
	return postest.Run(runner, postest.Test{Inputs: []postest.Input{{CID: "scan", Data: data}}, Meta: meta})
}

func succeeds(t *testing.T, data string, meta any) postest.Outcome {
	t.Helper()
	outcome := runOn(data, meta)
	if outcome.Err != nil {
		t.Fatal(outcome.Err)
	}
	return outcome
}

func fails(t *testing.T, data string, meta any, kind posemesh.Case, part string) {
	t.Helper()
	outcome := runOn(data, meta)
	if posemesh.CaseOf(outcome.Err) != kind || outcome.Err == nil || !strings.Contains(outcome.Err.Error(), part) {
		t.Errorf("%v: %v, and not %s", posemesh.CaseOf(outcome.Err), outcome.Err, part)
	}
	if len(outcome.Artifacts) != 0 {
		t.Errorf("a task that fails stored %d artifacts", len(outcome.Artifacts))
	}
}

func packed(data string) string {
	var to bytes.Buffer
	writer := gzip.NewWriter(&to)
	if _, err := writer.Write([]byte(data)); err != nil {
		panic(err)
	}
	if err := writer.Close(); err != nil {
		panic(err)
	}
	return to.String()
}

type object = map[string]any

func TestAGridIsSeenFromAbove(t *testing.T) {
	outcome := succeeds(t, square, object{"cell_size": 1})
	want := "ncols 2\nnrows 2\nxllcorner 0\nyllcorner 0\ncellsize 1\nNODATA_value -9999\n3 4\n1 2\n"
	if got := string(outcome.Artifacts["heights.asc"]); got != want {
		t.Errorf("heights.asc is %s", got)
	}
	// The same with another axis up.
	other := succeeds(t, "0 0 1\n1 0 2\n0 1 3\n1 1 4\n", object{"cell_size": 1, "up": "z"})
	if got := string(other.Artifacts["heights.asc"]); got != want {
		t.Errorf("with z up heights.asc is %s", got)
	}
	picture, err := png.Decode(bytes.NewReader(outcome.Artifacts["preview.png"]))
	if err != nil || picture.Bounds().Dx() != 2 || picture.Bounds().Dy() != 2 {
		t.Errorf("preview.png: %v", err)
	}
}

func TestAPreviewIsSmallAndHasNoHolesWhereThereAreNeighbours(t *testing.T) {
	var field strings.Builder
	for x := range 3000 {
		fmt.Fprintf(&field, "%d %d %d\n", x, x%7, x%2)
	}
	picture, err := png.Decode(bytes.NewReader(succeeds(t, field.String(), object{"cell_size": 1}).Artifacts["preview.png"]))
	if err != nil || picture.Bounds().Dx() != 1000 || picture.Bounds().Dy() != 1 {
		t.Fatalf("preview.png: %v", err)
	}
	for x := range 1000 {
		if _, _, _, alpha := picture.At(x, 0).RGBA(); alpha == 0 {
			t.Fatalf("pixel %d is empty", x)
		}
	}
}

func TestTheStatisticOfACellCounts(t *testing.T) {
	for statistic, want := range map[string]string{"max": "5", "min": "1", "mean": "3"} {
		outcome := succeeds(t, "0 1 0\n0 5 0\n0 3 0\n", object{"cell_size": 1, "statistic": statistic})
		if lines := strings.Split(string(outcome.Artifacts["heights.asc"]), "\n"); lines[6] != want {
			t.Errorf("%s is %s", statistic, lines[6])
		}
	}
}

func TestHolesAreFilledFromTheirEdges(t *testing.T) {
	ring := "0 1 0\n1 1 0\n2 1 0\n0 1 1\n2 1 1\n0 1 2\n1 1 2\n2 9 2\n"
	if got := string(succeeds(t, ring, object{"cell_size": 1}).Artifacts["heights.asc"]); !strings.Contains(got, "1 -9999 1") {
		t.Errorf("heights.asc is %s", got)
	}
	outcome := succeeds(t, ring, object{"cell_size": 1, "fill": 3})
	if got := string(outcome.Artifacts["heights.asc"]); !strings.Contains(got, "1 2 1\n") {
		t.Errorf("heights.asc is %s", got)
	}
	if got := string(outcome.Artifacts["summary.json"]); !strings.Contains(got, `"filled_cells": 1,`) {
		t.Errorf("summary.json is %s", got)
	}
}

func TestContoursOfAConeAreClosedAndRound(t *testing.T) {
	var cone strings.Builder
	for x := -50; x <= 50; x++ {
		for z := -50; z <= 50; z++ {
			fmt.Fprintf(&cone, "%d %g %d\n", x, 50-math.Hypot(float64(x), float64(z)), z)
		}
	}
	tiles := newTiles(1, "max")
	scan := &xyz{lines: linesOf(cone.String())}
	for {
		found, err := scan.next()
		if err != nil {
			break
		}
		if err := tiles.add(found.x, -found.z, found.y, scan.where); err != nil {
			t.Fatal(err)
		}
	}
	found, err := contours(tiles.grid(), 10, func(float64) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	if len(found) < 5 {
		t.Fatalf("%d contours", len(found))
	}
	for _, one := range found {
		if one.Height < 10 {
			continue
		}
		if one.Height == 50 {
			continue
		}
		if len(one.Lines) != 1 {
			t.Fatalf("%d lines at %g", len(one.Lines), one.Height)
		}
		line := one.Lines[0]
		if line[0] != line[len(line)-1] {
			t.Errorf("the line at %g is open", one.Height)
		}
		for _, place := range line {
			// Cells are half of their size away from their points.
			radius := math.Hypot(float64(place[0])-0.5, float64(place[1])-0.5)
			if math.Abs(radius-(50-float64(one.Height))) > 0.2 {
				t.Errorf("at %g: %v is %g from the top", one.Height, place, radius)
			}
		}
	}
}

func TestContoursAreWrittenAsJSON(t *testing.T) {
	for interval, want := range map[float64]int{0.75: 1, 100: 0} {
		data := succeeds(t, square, object{"cell_size": 1, "contour_interval": interval, "statistic": "mean"}).Artifacts["contours.json"]
		var found struct{ Contours []contour }
		if err := json.Unmarshal(data, &found); err != nil || (len(found.Contours) > 0) != (want > 0) {
			t.Errorf("%v: contours.json is %s", err, data)
		}
	}
}

func TestContoursThatAreTooManyAreTheFaultOfTheTask(t *testing.T) {
	fails(t, square, object{"cell_size": 1, "contour_interval": 1e-9}, posemesh.InvalidTask, "larger contour_interval")
}

func TestASizeIsFoundForAScan(t *testing.T) {
	for side, want := range map[float64]float64{256: 1, 300: 2, 0: 1, 1e-3: 5e-6, 1000: 5} {
		if got := niceSize(side); math.Abs(got-want) > 1e-12 {
			t.Errorf("%g for %g", got, side)
		}
	}
	outcome := succeeds(t, "0 0 0\n300 1 -300\n", nil)
	if got := string(outcome.Artifacts["summary.json"]); !strings.Contains(got, `"cell_size": 2,`) {
		t.Errorf("summary.json is %s", got)
	}
}

func plyOf(format string, body []byte) string {
	return "ply\r\nformat " + format + " 1.0\r\ncomment x\r\nelement face 1\r\nproperty list uchar int vertex_indices\r\n" +
		"element vertex 2\r\nproperty uchar red\r\nproperty double x\r\nproperty float y\r\nproperty short z\r\n" +
		"element edge 9\r\nproperty int a\r\nend_header\r\n" + string(body)
}

func TestEveryFormatOfPlyIsRead(t *testing.T) {
	ascii := plyOf("ascii", []byte("3 0 1 1\n255 0 1 0\n\n255 1 2 0\n"))
	want := "\n1 2\n"
	if got := string(succeeds(t, ascii, object{"cell_size": 1}).Artifacts["heights.asc"]); !strings.HasSuffix(got, want) {
		t.Errorf("heights.asc is %s", got)
	}
	for name, order := range map[string]binary.AppendByteOrder{
		"binary_little_endian": binary.LittleEndian, "binary_big_endian": binary.BigEndian,
	} {
		body := []byte{3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}
		for x := range 2 {
			body = order.AppendUint64(append(body, 255), math.Float64bits(float64(x)))
			body = order.AppendUint16(order.AppendUint32(body, math.Float32bits(float32(x+1))), 0)
		}
		whole := plyOf(name, body)
		for _, data := range []string{whole, packed(whole)} {
			if got := string(succeeds(t, data, object{"cell_size": 1}).Artifacts["heights.asc"]); !strings.HasSuffix(got, want) {
				t.Errorf("%s: heights.asc is %s", name, got)
			}
		}
		fails(t, whole[:len(whole)-1], object{"cell_size": 1}, posemesh.InvalidInput, "vertex 2 of 2 of scan: the file is cut off")
	}
}

func TestWhatIsWrongWithAPlyIsSaidWithItsLine(t *testing.T) {
	header := "ply\nformat ascii 1.0\nelement vertex 2\nproperty float x\nproperty float y\nproperty float z\nend_header\n"
	for _, one := range []struct{ data, part string }{
		{header + "0 0 0\n1 1\n", "the file is cut off"},
		{header + "0 0\n1 1 1\n", "line 9 of scan: there are 2 values more than a vertex has properties, which begins in line 8"},
		{header + "0 0 0\n1 1 1 1\n", "line 9 of scan: there are 1 values more"},
		{header + "0 0 0\n", "the file is cut off"},
		{header + "0 0 0\n1 x 1\n", "line 9 of scan: \"x\" is no number"},
		{strings.Replace(header, "float z", "float w", 1), "the vertices have no property z"},
		{strings.Replace(header, "ascii", "utf8", 1), "line 2 of scan: the format \"utf8\""},
		{strings.Replace(header, "vertex 2", "vertex -2", 1), "line 3 of scan: \"-2\" is no number of elements"},
		{strings.Replace(header, "float y", "real y", 1), "line 5 of scan: \"property real y\" is no property"},
		{"ply\nformat ascii 1.0\nelement face 0\nend_header\n", "without an element vertex"},
		{"ply\nformat ascii 1.0\n", "no end_header"},
		{"ply\nelement vertex 0\nend_header\n", "says no format"},
	} {
		fails(t, one.data, nil, posemesh.InvalidInput, one.part)
	}
	// Many entries of nothing take no time.
	endless := strings.Replace(header, "element vertex", "element nothing 4611686018427387903\nelement vertex", 1)
	succeeds(t, endless+"0 0 0\n1 1 1\n", nil)
}

func TestPointsAsTextMayHaveAHead(t *testing.T) {
	for _, data := range []string{square, "4\n" + square, "x,y,z\n" + strings.ReplaceAll(square, " ", ","), "# made by\n\n// hand\n" + square, packed(square)} {
		if got := string(succeeds(t, data, object{"cell_size": 1}).Artifacts["summary.json"]); !strings.Contains(got, `"points": 4,`) {
			t.Errorf("summary.json is %s", got)
		}
	}
	fails(t, "0 0 0\nx y z\n", nil, posemesh.InvalidInput, "line 2 of scan: \"x\" is no number")
	fails(t, "0 0 0\n1 1\n", nil, posemesh.InvalidInput, "line 2 of scan: \"1 1\" has 2 numbers")
	fails(t, "0 0 0\n"+strings.Repeat("1", 70_000), nil, posemesh.InvalidInput, "line 2 of scan has more than 64 KiB")
	fails(t, "", nil, posemesh.InvalidInput, "scan is empty")
	fails(t, "x y z\nnan 0 0\n", nil, posemesh.InvalidInput, "scan has no points; 1 have no position")
}

func TestColumnsAreFoundByTheirNames(t *testing.T) {
	want := string(succeeds(t, square, object{"cell_size": 1}).Artifacts["heights.asc"])
	var named strings.Builder
	named.WriteString("\ufeff\"id\";Z;X;Y\n")
	for i, line := range strings.Split(strings.TrimSpace(square), "\n") {
		at := strings.Fields(line)
		fmt.Fprintf(&named, "%d;%s;%s;%s\n", 1000+i, at[2], at[0], at[1])
	}
	if got := string(succeeds(t, named.String(), object{"cell_size": 1}).Artifacts["heights.asc"]); got != want {
		t.Errorf("with names it is %s, not %s", got, want)
	}
	if got := string(succeeds(t, "\ufeff"+square, object{"cell_size": 1}).Artifacts["heights.asc"]); got != want {
		t.Errorf("with a mark it is %s, not %s", got, want)
	}
	fails(t, "x y z\n1,5 2,5 3,5\n", nil, posemesh.InvalidInput, "commas for decimal points")
	fails(t, "1 y z\n", nil, posemesh.InvalidInput, "line 1 of scan: \"y\" is no number")
}

func TestContoursFarFromTheOriginHaveAllTheirDigits(t *testing.T) {
	written, err := json.Marshal([2]coordinate{5812345.053, 0.1 + 0.2})
	if err != nil || string(written) != "[5812345.053,0.3]" {
		t.Errorf("it is %s: %v", written, err)
	}
}

func TestGzipThatIsCutOffOrDamagedSaysSo(t *testing.T) {
	whole := packed(square)
	fails(t, whole[:len(whole)-9], nil, posemesh.InvalidInput, "is cut off")
	fails(t, whole[:len(whole)-5]+"x"+whole[len(whole)-4:], nil, posemesh.InvalidInput, "is damaged: gzip: invalid checksum")
}

func TestOutliersDoNotFillTheMemory(t *testing.T) {
	fails(t, "0 0 0\n1e9 0 1e9\n", object{"cell_size": 1}, posemesh.InvalidInput, "line 2 of scan: with this point the grid has 1000000001 by")
	fails(t, "0 0 0\n1e300 0 0\n", object{"cell_size": 1}, posemesh.InvalidInput, "too far away")
	fails(t, "0 1e39 0\n", object{"cell_size": 1}, posemesh.InvalidInput, "the height 1e+39 is out of range")
}

func TestParametersThatMeanNothingAreTheFaultOfTheTask(t *testing.T) {
	for _, meta := range []any{
		object{"cellsize": 1}, object{"up": "x"}, object{"statistic": "median"}, object{"fill": 65}, object{"fill": 0.5},
		object{"cell_size": -1}, object{"contour_interval": 1e99}, []int{1},
	} {
		fails(t, square, meta, posemesh.InvalidTask, "")
	}
}

func TestParametersOutOfRangeAreToldWithTheirRange(t *testing.T) {
	size, fill := "a number from 1e-09 to 1e+09", "a whole number from 0 to 64"
	for _, name := range []string{"cell_size", "contour_interval"} {
		for _, value := range []string{"0", "-1", "0.0", "1e-10", "1e10", "1e999", "-1e999", `"1"`, "true"} {
			fails(t, square, object{name: json.RawMessage(value)}, posemesh.InvalidTask, name+" is "+value+"; it can be "+size)
		}
	}
	for _, value := range []string{"-1", "65", "0.5", "1e999", `"2"`} {
		fails(t, square, object{"fill": json.RawMessage(value)}, posemesh.InvalidTask, "fill is "+value+"; it can be "+fill)
	}
	succeeds(t, square, object{"cell_size": nil, "contour_interval": nil, "fill": nil})
	succeeds(t, square, object{"cell_size": 1e9, "fill": 64})
}

func TestABrokenDownloadAndACancelledTaskStoreNothing(t *testing.T) {
	down := posemesh.Errorf(posemesh.Unavailable, "it answers 503")
	for _, data := range []string{square, packed(square), plyOf("ascii", []byte("3 0 1 1\n255 0 1 0\n255 1 2 0\n"))} {
		outcome := postest.Run(runner, postest.Test{Inputs: []postest.Input{{CID: "scan", Data: data, Fails: down}}})
		if posemesh.CaseOf(outcome.Err) != posemesh.Unavailable || len(outcome.Artifacts) != 0 {
			t.Errorf("%v", outcome.Err)
		}
	}
	many := strings.Repeat(square, 100_000)
	outcome := postest.Run(runner, postest.Test{Inputs: []postest.Input{{CID: "scan", Data: many}}, CancelAt: 0.2})
	if posemesh.CaseOf(outcome.Err) != posemesh.Cancelled || len(outcome.Artifacts) != 0 {
		t.Errorf("%v", outcome.Err)
	}
}

func linesOf(text string) *lineReader {
	return &lineReader{from: bufio.NewReader(strings.NewReader(text)), name: "scan"}
}
